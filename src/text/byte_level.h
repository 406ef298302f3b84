#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "text/unicode.h"

namespace tenon::text {

// GPT-2's spelling of bytes: each byte is one visible character ("Ġ" for a space), so a vocabulary
// is plain text.
struct ByteChar {
  char utf8[2];
  uint8_t length;
};
const std::array<ByteChar, 256>& byte_chars();

// The byte that a character stands for, or -1.
int byte_of_char(CodePoint c);

inline void append_byte_char(std::string& out, uint8_t byte) {
  const ByteChar& spelled = byte_chars()[byte];
  out.append(spelled.utf8, spelled.length);
}

}  // namespace tenon::text
