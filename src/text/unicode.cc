#include "text/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/error.h"
#include "text/package_unicode.h"

namespace tenon::text {
namespace {

constexpr std::array<CharClass, 128> kAsciiClasses = [] {
  std::array<CharClass, 128> classes{};
  for (int c = 0; c < 128; ++c) {
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (letter) classes[c] = CharClass::Letter;
    if (c >= '0' && c <= '9') classes[c] = CharClass::Number;
    if (c == ' ' || c == '\t' || c == '\v' || c == '\f') classes[c] = CharClass::Space;
    if (c == '\r' || c == '\n') classes[c] = CharClass::NewLine;
  }
  return classes;
}();

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<uint8_t>(c) < 0x80; });
}

// Alphabetic characters outside L, Nl and M: the circled and squared Latin letters.
bool is_other_alphabetic(CodePoint c) {
  return (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
         (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
}

int combining_class(CodePoint c) {
  return utf8proc_get_property(c)->combining_class;
}

// utf8proc's own reordering takes quadratic time on a long run of marks, so each character is
// decomposed alone and the runs are sorted here.
void sort_marks(std::vector<CodePoint>& chars) {
  size_t begin = 0;
  while (begin < chars.size()) {
    if (combining_class(chars[begin]) == 0) {
      ++begin;
      continue;
    }
    size_t end = begin;
    while (end < chars.size() && combining_class(chars[end]) != 0) ++end;
    std::stable_sort(chars.begin() + begin, chars.begin() + end, [](CodePoint a, CodePoint b) {
      return combining_class(a) < combining_class(b);
    });
    begin = end;
  }
}

std::vector<CodePoint> decomposed(std::string_view text, int options) {
  std::vector<CodePoint> chars;
  chars.reserve(text.size() + 64);
  for (size_t at = 0; at < text.size();) {
    CodePoint c = next_char(text, at);
    if (c < 0x80 || has_new_decomposition(c)) {
      chars.push_back(c);
      continue;
    }
    utf8proc_int32_t parts[64];
    int boundary = 0;
    utf8proc_ssize_t count =
        utf8proc_decompose_char(c, parts, 64, static_cast<utf8proc_option_t>(options), &boundary);
    TENON_CHECK(count >= 0 && count <= 64);
    chars.insert(chars.end(), parts, parts + count);
  }
  sort_marks(chars);
  return chars;
}

}  // namespace

bool is_white_space(CodePoint c) {
  if (c < 0x80) return c == ' ' || (c >= 9 && c <= 13);
  if (c < 0x1680) return c == 0x85 || c == 0xA0;
  return c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

bool is_printable(CodePoint c) {
  if (c < 0x80) return c >= 0x20 && c != 0x7F;
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
      return false;
    default:
      return true;
  }
}

CodePoint to_upper(CodePoint c) {
  return utf8proc_toupper(c);
}
CodePoint to_lower(CodePoint c) {
  return utf8proc_tolower(c);
}

bool is_number(CodePoint c) {
  return char_class(c) == CharClass::Number || is_newer_number(c);
}

CharClass char_class(CodePoint c) {
  if (c < 0x80) return kAsciiClasses[c];
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return CharClass::Letter;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return CharClass::Number;
    default:
      return is_white_space(c) ? CharClass::Space : CharClass::Other;
  }
}

bool is_word(CodePoint c) {
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return c == 0x200C || c == 0x200D || is_other_alphabetic(c) || is_newer_word(c);
  }
}

CodePoint previous_char(std::string_view text, size_t& end) {
  size_t begin = end - 1;
  while (begin > 0 && (static_cast<uint8_t>(text[begin]) & 0xC0) == 0x80) --begin;
  size_t at = begin;
  CodePoint c = next_char(text, at);
  end = begin;
  return c;
}

void append_utf8(std::string& out, CodePoint c) {
  auto put = [&](CodePoint byte) { out += static_cast<char>(byte); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6);
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18);
    put(0x80 | (c >> 12 & 0x3F));
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

std::string normalised(std::string_view text, NormalForm form) {
  if (is_ascii(text)) return std::string(text);
  bool compatible = form == NormalForm::Nfkc || form == NormalForm::Nfkd;
  bool composed = form == NormalForm::Nfc || form == NormalForm::Nfkc;
  int options = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0);
  std::vector<CodePoint> chars = decomposed(text, options);
  utf8proc_ssize_t count = static_cast<utf8proc_ssize_t>(chars.size());
  if (composed) {
    count = utf8proc_normalize_utf32(
        chars.data(), count, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    TENON_CHECK(count >= 0);
  }
  std::string out;
  out.reserve(text.size());
  for (utf8proc_ssize_t i = 0; i < count; ++i) append_utf8(out, chars[i]);
  return out;
}

std::string lowercased(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    CodePoint c = next_char(text, at);
    if (c == 0x130) {  // the one character whose lower case is two
      append_utf8(out, 'i');
      append_utf8(out, 0x307);
    } else {
      CodePoint lower = utf8proc_tolower(c);
      append_utf8(out, lower == c ? newer_lower_case(c) : lower);
    }
  }
  return out;
}

void Utf8Assembler::push(uint8_t byte, std::string& out) {
  if (missing_ == 0) return start(byte, out);
  if (byte < lowest_ || byte > highest_) {
    finish(out);
    return start(byte, out);
  }
  lowest_ = 0x80;
  highest_ = 0xBF;
  pending_ += static_cast<char>(byte);
  if (--missing_ == 0) {
    out += pending_;
    pending_.clear();
  }
}

void Utf8Assembler::start(uint8_t byte, std::string& out) {
  lowest_ = byte == 0xE0 ? 0xA0 : byte == 0xF0 ? 0x90 : 0x80;
  highest_ = byte == 0xED ? 0x9F : byte == 0xF4 ? 0x8F : 0xBF;
  if (byte < 0x80) {
    out += static_cast<char>(byte);
  } else if (byte < 0xC2 || byte > 0xF4) {
    out += kReplacementChar;
  } else {
    missing_ = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
    pending_ = static_cast<char>(byte);
  }
}

void Utf8Assembler::finish(std::string& out) {
  size_t count = replacement_ == Replacement::EachByte ? pending_.size() : !pending_.empty();
  for (size_t i = 0; i < count; ++i) out += kReplacementChar;
  pending_.clear();
  missing_ = 0;
}

}  // namespace tenon::text
