#include "text/byte_level.h"

namespace tenon::text {
namespace {

constexpr bool is_visible_latin1(int byte) {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

// Visible Latin-1 characters stand for themselves; the others, in order, for 256 and above.
constexpr std::array<CodePoint, 256> kCharOfByte = [] {
  std::array<CodePoint, 256> chars{};
  CodePoint next = 256;
  for (int byte = 0; byte < 256; ++byte) chars[byte] = is_visible_latin1(byte) ? byte : next++;
  return chars;
}();

constexpr CodePoint kMostChar = 323;

constexpr std::array<int16_t, kMostChar + 1> kByteOfChar = [] {
  std::array<int16_t, kMostChar + 1> bytes{};
  for (int16_t& byte : bytes) byte = -1;
  for (int byte = 0; byte < 256; ++byte) bytes[kCharOfByte[byte]] = static_cast<int16_t>(byte);
  return bytes;
}();

constexpr std::array<ByteChar, 256> kByteChars = [] {
  std::array<ByteChar, 256> chars{};
  for (int byte = 0; byte < 256; ++byte) {
    CodePoint c = kCharOfByte[byte];
    if (c < 0x80) {
      chars[byte] = {{static_cast<char>(c), 0}, 1};
    } else {
      chars[byte] = {{static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 0x3F))}, 2};
    }
  }
  return chars;
}();

}  // namespace

const std::array<ByteChar, 256>& byte_chars() {
  return kByteChars;
}

int byte_of_char(CodePoint c) {
  return c >= 0 && c <= kMostChar ? kByteOfChar[c] : -1;
}

}  // namespace tenon::text
