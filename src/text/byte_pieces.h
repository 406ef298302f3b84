#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/vocabulary.h"

namespace tenon::text {

// The pieces "<0x00>" ... "<0xFF>", which spell what has no other piece.
std::array<int32_t, 256> find_byte_slots(const Vocabulary& vocabulary);

// The byte that "<0x0A>" stands for, or -1. Digits may be of either case.
int byte_of_piece(std::string_view text);

// Appends the slots of all bytes of `text`; appends nothing where one has no piece.
bool append_byte_slots(const std::array<int32_t, 256>& byte_slots, std::string_view text,
                       std::vector<int32_t>& out);

// Models that walk the vocabulary at each place of a text bound their work by the longest piece.
inline constexpr size_t kMostWalkedBytes = 512;
// Throws ErrorCode::BadInput naming `place` where the piece is longer.
void check_walked_piece(std::string_view text, const std::string& place);

}  // namespace tenon::text
