#include "text/byte_pieces.h"

#include <algorithm>
#include <cstdio>

namespace tenon::text {

std::array<int32_t, 256> find_byte_slots(const Vocabulary& vocabulary) {
  std::array<int32_t, 256> slots;
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", byte);
    slots[byte] = vocabulary.find(name);
  }
  return slots;
}

int byte_of_piece(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return -1;
  auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  };
  int high = digit(text[3]), low = digit(text[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

bool append_byte_slots(const std::array<int32_t, 256>& byte_slots, std::string_view text,
                       std::vector<int32_t>& out) {
  auto slot_of = [&](char c) { return byte_slots[static_cast<uint8_t>(c)]; };
  if (std::ranges::any_of(text, [&](char c) { return slot_of(c) < 0; })) return false;
  for (char c : text) out.push_back(slot_of(c));
  return true;
}

void check_walked_piece(std::string_view text, const std::string& place) {
  if (text.size() <= kMostWalkedBytes) return;
  throw Error(ErrorCode::BadInput, "piece is too long")
      .at(place)
      .got(std::to_string(text.size()) + " bytes")
      .accepted("at most " + std::to_string(kMostWalkedBytes));
}

}  // namespace tenon::text
