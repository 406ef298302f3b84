#include "base/error.h"
#include "text/regex.h"

namespace tenon::text {
namespace {

// The members of Unicode sets, to stand inside a class. PCRE2's \s also holds U+180E, its \w lacks
// marks and its \h is horizontal space where Oniguruma's is a hexadecimal digit.
constexpr std::string_view kSpace =
    R"(\x{9}-\x{d}\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";
// Oniguruma's \w also has the superscript digits and fractions of Latin-1, but of no other block.
constexpr std::string_view kWord =
    R"(\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{b2}\x{b3}\x{b9}\x{bc}-\x{be}\x{24b6}-\x{24e9}\x{1f130}-\x{1f149}\x{1f150}-\x{1f169}\x{1f170}-\x{1f189})";
constexpr std::string_view kHex = "0-9a-fA-F";

class Translator {
 public:
  explicit Translator(std::string_view pattern) : pattern_(pattern) {}

  std::string run() {
    while (at_ < pattern_.size()) {
      char c = pattern_[at_];
      if (c == '\\') {
        escape();
      } else if (depth_ == 0) {
        outside(c);
      } else {
        inside(c);
      }
    }
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(std::string_view what) const {
    throw Error(ErrorCode::Unsupported, std::string(what) + " in a pattern is not supported")
        .got(pattern_)
        .at("byte " + std::to_string(at_));
  }

  void copy(size_t count) {
    out_ += pattern_.substr(at_, count);
    at_ += count;
  }

  void set(std::string_view members, bool negated) {
    at_ += 2;
    if (depth_ == 0) {
      out_ += negated ? "[^" : "[";
      out_ += members;
      out_ += ']';
    } else {
      out_ += members;
    }
  }

  // Between a character of Oniguruma's \w and one that is none; PCRE2's own goes by its narrower
  // \w.
  void boundary(bool negated) {
    at_ += 2;
    std::string word = "[" + std::string(kWord) + "]";
    std::string before = "(?<=" + word + ")", not_before = "(?<!" + word + ")";
    std::string after = "(?=" + word + ")", not_after = "(?!" + word + ")";
    out_ += "(?:" + before + (negated ? after : not_after) + "|" + not_before +
            (negated ? not_after : after) + ")";
  }

  void escape() {
    char c = at_ + 1 < pattern_.size() ? pattern_[at_ + 1] : '\0';
    switch (c) {
      case 's':
        return set(kSpace, false);
      case 'w':
        return set(kWord, false);
      case 'h':
        return set(kHex, false);
      case 'S':
      case 'W':
      case 'H':
        if (depth_ == 0) return set(c == 'S' ? kSpace : c == 'W' ? kWord : kHex, true);
        // PCRE2's own set differs by U+180E only; the other two have no near form.
        if (c != 'S') refuse("a negated set inside a class");
        return copy(2);
      case 'b':
      case 'B':
        return depth_ == 0 ? boundary(c == 'B') : copy(2);  // inside a class: the backspace
      case 'K':
      case 'R':
      case 'X':
      case 'N':
      case 'O':
      case 'y':
      case 'Y':
      case 'Q':
      case 'E':
        refuse(std::string("\\") + c);
      default:
        return copy(c == '\0' ? 1 : 2);
    }
  }

  void outside(char c) {
    if (c == '[') return open_class();
    if (c == '(' && at_ + 1 < pattern_.size() && pattern_[at_ + 1] == '*') refuse("a (*VERB)");
    copy(1);
  }

  void open_class() {
    depth_ = 1;
    copy(1);
    if (at_ < pattern_.size() && pattern_[at_] == '^') copy(1);
    // A ] first in a class is a member in both engines.
    if (at_ < pattern_.size() && pattern_[at_] == ']') {
      out_ += "\\]";
      ++at_;
    }
  }

  void inside(char c) {
    if (c == ']') {
      // The inner classes of Oniguruma were opened up into the outer one.
      if (--depth_ == 0) return copy(1);
      ++at_;
    } else if (c == '[' && pattern_.substr(at_, 2) == "[:") {
      size_t end = pattern_.find(":]", at_);
      if (end == pattern_.npos) refuse("an unfinished [: :]");
      copy(end + 2 - at_);
    } else if (c == '[') {
      if (pattern_.substr(at_, 2) == "[^") refuse("a negated class inside a class");
      ++depth_;
      ++at_;
    } else if (pattern_.substr(at_, 2) == "&&") {
      refuse("an intersection of classes");
    } else {
      copy(1);
    }
  }

  std::string_view pattern_;
  size_t at_ = 0;
  int depth_ = 0;  // of classes
  std::string out_;
};

}  // namespace

std::string translate_regex(std::string_view pattern) {
  return Translator(pattern).run();
}

}  // namespace tenon::text
