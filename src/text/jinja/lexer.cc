#include "text/jinja/lexer.h"

#include <algorithm>
#include <array>

#include "text/jinja/render_state.h"
#include "text/unicode.h"

namespace tenon::text {
namespace {

using Kind = JinjaToken::Kind;

// What Python's re calls \s, of ASCII.
bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r') || (c >= '\x1C' && c <= '\x1F');
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool begins_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<uint8_t>(c) >= 0x80;
}

constexpr std::array<std::string_view, 25> kSymbols = {
    "**", "//", "==", "!=", "<=", ">=", "+", "-", "/", "*", "%", "~", "(",
    ")",  "[",  "]",  "{",  "}",  "<",  ">", "=", ".", ":", "|", ","};

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  std::vector<JinjaToken> run() {
    while (at_ < source_.size()) {
      size_t open = find_open();
      char sign = open + 2 < source_.size() ? source_[open + 2] : '\0';
      add_text(open, sign);
      if (open == source_.size()) break;
      begin_ = open;
      at_ = open + 2 + (sign == '-' || sign == '+');
      read_construct(source_[open + 1]);
    }
    tokens_.push_back({Kind::End, source_.size(), ""});
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail(size_t place, std::string_view problem) const {
    throw syntax_error(source_, place, problem);
  }

  bool here(std::string_view text) const { return source_.substr(at_).starts_with(text); }

  // The next "{{", "{%" or "{#", or the end.
  size_t find_open() const {
    for (size_t open = source_.find('{', at_); open != source_.npos;
         open = source_.find('{', open + 1)) {
      if (open + 1 == source_.size()) break;
      char second = source_[open + 1];
      if (second == '{' || second == '%' || second == '#') return open;
    }
    return source_.size();
  }

  // The text up to `end`, where a construct with `sign` opens.
  void add_text(size_t end, char sign) {
    std::string_view text = source_.substr(at_, end - at_);
    bool opens = end < source_.size();
    if (opens && sign == '-') {
      while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    } else if (opens && sign != '+' && source_[end + 1] != '{') {
      // lstrip_blocks: blanks between the line's begin and a tag go.
      size_t line = text.rfind('\n') + 1;
      bool from_line_start = line > 0 || at_line_start_;
      bool blank =
          std::all_of(text.begin() + static_cast<std::ptrdiff_t>(line), text.end(), is_space);
      if (from_line_start && blank) text = text.substr(0, line);
    }
    if (!text.empty()) tokens_.push_back({Kind::Text, at_, std::string(text)});
  }

  void read_construct(char second) {
    if (second == '#') {
      read_comment();
    } else if (second == '%' && reads_raw()) {
      // done
    } else {
      tokens_.push_back({second == '{' ? Kind::OpenOutput : Kind::OpenTag, begin_, ""});
      read_tokens(second == '{' ? "}}" : "%}");
    }
    at_line_start_ = at_ > 0 && source_[at_ - 1] == '\n';
  }

  // Behind a closing mark at at_: "-" strips white space, else trim_blocks takes one newline.
  void close(char sign, bool trims) {
    at_ += 2;
    if (sign == '-') {
      while (at_ < source_.size() && is_space(source_[at_])) ++at_;
    } else if (trims && sign != '+' && at_ < source_.size() && source_[at_] == '\n') {
      ++at_;
    }
  }

  void read_comment() {
    size_t end = source_.find("#}", at_);
    if (end == source_.npos) fail(begin_, "a comment is not closed");
    char sign = end > at_ ? source_[end - 1] : '\0';
    at_ = end;
    close(sign, true);
  }

  void skip_space() {
    while (at_ < source_.size() && is_space(source_[at_])) ++at_;
  }

  // Whether the tag that begins here is `name` and nothing else; then at_ is at its closing mark.
  bool is_bare_tag(std::string_view name, char& sign) {
    size_t start = at_;
    skip_space();
    bool found = here(name);
    if (found) at_ += name.size();
    skip_space();
    sign = at_ < source_.size() ? source_[at_] : '\0';
    if (sign == '-' || sign == '+') ++at_;
    if (found && here("%}")) return true;
    at_ = start;
    return false;
  }

  bool reads_raw() {
    char sign;
    if (!is_bare_tag("raw", sign)) return false;
    close(sign, false);
    size_t start = at_;
    for (size_t open = source_.find("{%", at_); open != source_.npos;
         open = source_.find("{%", open + 1)) {
      at_ = open + 2;
      char before = at_ < source_.size() ? source_[at_] : '\0';
      if (before == '-' || before == '+') ++at_;
      if (!is_bare_tag("endraw", sign)) continue;
      size_t after = at_;
      at_ = start;
      at_line_start_ = false;
      add_text(open, before);
      at_ = after;
      close(sign, true);
      return true;
    }
    fail(begin_, "a raw block is not closed");
  }

  void read_tokens(std::string_view closing) {
    std::string brackets;
    for (;;) {
      skip_space();
      if (at_ == source_.size()) fail(begin_, "a tag is not closed");
      char sign = source_[at_];
      bool signed_close = (sign == '-' || (sign == '+' && closing == "%}")) &&
                          source_.substr(at_ + 1).starts_with(closing);
      if (brackets.empty() && (here(closing) || signed_close)) {
        tokens_.push_back({closing == "}}" ? Kind::CloseOutput : Kind::CloseTag, at_, ""});
        at_ += signed_close;
        close(signed_close ? sign : '\0', closing == "%}");
        return;
      }
      read_token(brackets);
    }
  }

  void read_token(std::string& brackets) {
    char c = source_[at_];
    if (begins_name(c)) {
      size_t start = at_;
      while (at_ < source_.size() && (begins_name(source_[at_]) || is_digit(source_[at_]))) ++at_;
      add(Kind::Name, start);
    } else if (is_digit(c)) {
      read_number();
    } else if (c == '"' || c == '\'') {
      read_string();
    } else {
      read_symbol(brackets);
    }
  }

  void add(Kind kind, size_t start) {
    tokens_.push_back({kind, start, std::string(source_.substr(start, at_ - start))});
  }

  void read_digits() {
    while (at_ < source_.size() && (is_digit(source_[at_]) || source_[at_] == '_')) ++at_;
  }

  void read_number() {
    size_t start = at_;
    read_digits();
    bool fraction = at_ + 1 < source_.size() && source_[at_] == '.' && is_digit(source_[at_ + 1]);
    if (fraction) {
      ++at_;
      read_digits();
    }
    size_t mark = at_;
    bool exponent = at_ < source_.size() && (source_[at_] == 'e' || source_[at_] == 'E');
    if (exponent) {
      ++at_;
      if (at_ < source_.size() && (source_[at_] == '-' || source_[at_] == '+')) ++at_;
      exponent = at_ < source_.size() && is_digit(source_[at_]);
      exponent ? read_digits() : void(at_ = mark);
    }
    if (at_ < source_.size() && begins_name(source_[at_])) {
      fail(start, "a number of this form is not supported");
    }
    add(fraction || exponent ? Kind::Float : Kind::Integer, start);
    std::erase(tokens_.back().text, '_');
  }

  void read_string() {
    size_t start = at_;
    char quote = source_[at_++];
    std::string value;
    while (at_ < source_.size() && source_[at_] != quote) {
      if (source_[at_] == '\\') {
        read_escape(value);
      } else {
        value += source_[at_++];
      }
    }
    if (at_ == source_.size()) fail(start, "a string is not closed");
    ++at_;
    tokens_.push_back({Kind::String, start, std::move(value)});
  }

  void read_code(std::string& value, int digits, int base, size_t start) {
    CodePoint code = 0;
    int count = 0;
    for (; count < digits && at_ < source_.size(); ++count, ++at_) {
      char c = source_[at_];
      int digit = is_digit(c)            ? c - '0'
                  : c >= 'a' && c <= 'f' ? c - 'a' + 10
                  : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                         : 99;
      if (digit >= base) break;
      code = code * base + digit;
    }
    bool whole = base == 8 || count == digits;
    if (!whole || code < 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) {
      fail(start, "an escape names no character");
    }
    append_utf8(value, code);
  }

  // Python's escapes; others stay as they are written.
  void read_escape(std::string& value) {
    constexpr std::string_view kLetters = "ntr\\'\"abfv", kValues = "\n\t\r\\'\"\a\b\f\v";
    size_t start = at_++;
    if (at_ == source_.size()) return;
    char c = source_[at_++];
    if (size_t letter = kLetters.find(c); letter != kLetters.npos) {
      value += kValues[letter];
    } else if (c == '\n') {
      // continues on the next line
    } else if (c == 'x' || c == 'u' || c == 'U') {
      read_code(value, c == 'x' ? 2 : c == 'u' ? 4 : 8, 16, start);
    } else if (c >= '0' && c <= '7') {
      --at_;
      read_code(value, 3, 8, start);
    } else if (c == 'N') {
      fail(start, "escapes by a character's name are not supported");
    } else {
      value += '\\';
      value += c;
    }
  }

  void read_symbol(std::string& brackets) {
    size_t start = at_;
    for (std::string_view symbol : kSymbols) {
      if (!here(symbol)) continue;
      at_ += symbol.size();
      constexpr std::string_view kOpen = "([{", kClose = ")]}";
      if (kOpen.find(symbol) != kOpen.npos) brackets += symbol;
      if (size_t which = kClose.find(symbol); which != kClose.npos) {
        if (brackets.empty() || brackets.back() != kOpen[which]) {
          fail(start, "a bracket closes nothing");
        }
        brackets.pop_back();
      }
      add(Kind::Symbol, start);
      return;
    }
    fail(start, "unexpected character");
  }

  std::string_view source_;
  size_t at_ = 0, begin_ = 0;
  bool at_line_start_ = true;
  std::vector<JinjaToken> tokens_;
};

}  // namespace

Error syntax_error(std::string_view source, size_t place, std::string_view problem,
                   ErrorCode code) {
  return Error(code, problem).at("chat template").at(place_in(source, place));
}

std::string with_plain_newlines(std::string_view source) {
  std::string plain;
  plain.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    bool returns = source[i] == '\r';
    plain += returns ? '\n' : source[i];
    if (returns && i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (plain.ends_with('\n')) plain.pop_back();
  return plain;
}

std::vector<JinjaToken> lex_jinja(std::string_view source) {
  return Lexer(source).run();
}

}  // namespace tenon::text
