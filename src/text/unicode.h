#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tenon::text {

using CodePoint = int32_t;

// What the well-known split patterns tell apart. NewLine is \r or \n; Space is all other
// White_Space.
enum class CharClass : uint8_t { Other, Letter, Number, Space, NewLine };
CharClass char_class(CodePoint c);

bool is_white_space(CodePoint c);  // the Unicode property: \s of Rust's and Oniguruma's regex
bool is_number(CodePoint c);       // \p{N}: Nd, Nl and No
bool is_word(CodePoint c);         // \w: Alphabetic, M, Nd, Pc and Join_Control

bool is_printable(CodePoint c);   // as Python's repr(): all but controls, separators, unassigned
CodePoint to_upper(CodePoint c);  // one character for one: the simple case mappings
CodePoint to_lower(CodePoint c);

// The next character of valid UTF-8; `at` moves past it.
inline CodePoint next_char(std::string_view text, size_t& at) {
  auto byte = [&](size_t i) { return static_cast<uint8_t>(text[at + i]); };
  CodePoint lead = byte(0);
  if (lead < 0x80) return ++at, lead;
  CodePoint c;
  if (lead < 0xE0) {
    c = (lead & 0x1F) << 6 | (byte(1) & 0x3F);
    at += 2;
  } else if (lead < 0xF0) {
    c = (lead & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
    at += 3;
  } else {
    c = (lead & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
    at += 4;
  }
  return c;
}
// The character of valid UTF-8 that ends at `end` (> 0); `end` moves to its start.
CodePoint previous_char(std::string_view text, size_t& end);
void append_utf8(std::string& out, CodePoint c);

enum class NormalForm { Nfc, Nfd, Nfkc, Nfkd };
std::string normalised(std::string_view text, NormalForm form);
std::string lowercased(std::string_view text);

inline constexpr std::string_view kReplacementChar = "\xEF\xBF\xBD";  // U+FFFD

// Turns bytes that arrive in pieces into whole characters. Ill-formed input becomes U+FFFD: one for
// each maximal part of a character (what Rust's from_utf8_lossy does), or one for each byte.
class Utf8Assembler {
 public:
  enum class Replacement { EachPart, EachByte };
  explicit Utf8Assembler(Replacement replacement) : replacement_(replacement) {}
  void push(uint8_t byte, std::string& out);
  void finish(std::string& out);  // an unfinished character is ill-formed

 private:
  void start(uint8_t byte, std::string& out);
  Replacement replacement_;
  std::string pending_;
  int missing_ = 0;
  uint8_t lowest_ = 0x80, highest_ = 0xBF;  // bounds of the next continuation byte
};

}  // namespace tenon::text
