#include "text/split_scanner.h"

#include "text/unicode.h"

namespace tenon::text {

constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

namespace {

struct KnownPattern {
  std::string_view pattern;
  SplitScanner scanner;
};

// The spellings of one pattern in published files; possessive quantifiers do not change a match
// here.
constexpr KnownPattern kKnown[] = {
    {kGpt2Pattern, {SplitScanner::Family::Gpt2, 0}},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     {SplitScanner::Family::Cl100k, 3}},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     {SplitScanner::Family::Cl100k, 1}},
    {R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)",
     {SplitScanner::Family::Cl100k, 3}},
};

class Scan {
 public:
  Scan(const SplitScanner& scanner, std::string_view text, std::vector<Span>& spans)
      : scanner_(scanner), text_(text), spans_(spans) {}

  void run() {
    bool gpt2 = scanner_.family == SplitScanner::Family::Gpt2;
    while (at_ < text_.size()) {
      size_t end = gpt2 ? gpt2_end() : cl100k_end();
      spans_.push_back({static_cast<uint32_t>(at_), static_cast<uint32_t>(end), true});
      at_ = end;
    }
  }

 private:
  struct Char {
    CharClass kind;
    size_t end;
  };

  Char read(size_t at) const {
    CodePoint c = next_char(text_, at);
    return {char_class(c), at};
  }

  static bool is_space(CharClass kind) { return kind >= CharClass::Space; }

  size_t run_end(size_t at, CharClass kind) const {
    while (at < text_.size()) {
      Char next = read(at);
      if (next.kind != kind) break;
      at = next.end;
    }
    return at;
  }

  bool starts_with(size_t at, CharClass kind) const {
    return at < text_.size() && read(at).kind == kind;
  }

  // 's 't 're 've 'm 'll 'd at at_; 0 where there is none.
  size_t contraction_end(bool any_case) const {
    if (text_[at_] != '\'' || at_ + 1 >= text_.size()) return 0;
    auto lower = [&](size_t i) {
      char c = at_ + i < text_.size() ? text_[at_ + i] : '\0';
      return any_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    };
    char first = lower(1), second = lower(2);
    if (first == 's' || first == 't' || first == 'm' || first == 'd') return at_ + 2;
    if ((first == 'r' || first == 'v') && second == 'e') return at_ + 3;
    if (first == 'l' && second == 'l') return at_ + 3;
    // U+017F is an s to a pattern that ignores case.
    if (any_case && text_.substr(at_ + 1, 2) == "\xC5\xBF") return at_ + 3;
    return 0;
  }

  // \s+(?!\S)|\s+ for the run of white space at at_: all of it at the end of the text, else all but
  // the last character, which begins the next piece, unless it is the only one.
  size_t space_end(size_t run, size_t last) const {
    return run == text_.size() || last == at_ ? run : last;
  }

  size_t gpt2_end() const {
    if (size_t end = contraction_end(false)) return end;
    Char first = read(at_);
    if (text_[at_] == ' ' && first.end < text_.size()) {
      Char next = read(first.end);
      if (!is_space(next.kind)) return run_end(next.end, next.kind);
    }
    if (!is_space(first.kind)) return run_end(first.end, first.kind);
    size_t last = at_, end = first.end;
    while (end < text_.size()) {
      Char next = read(end);
      if (!is_space(next.kind)) break;
      last = end;
      end = next.end;
    }
    return space_end(end, last);
  }

  size_t cl100k_end() const {
    if (size_t end = contraction_end(true)) return end;
    Char first = read(at_);
    if (first.kind == CharClass::Letter) return run_end(first.end, CharClass::Letter);
    if (first.kind == CharClass::Number) return digits_end(first.end);
    bool may_lead = first.kind != CharClass::NewLine;
    if (may_lead && starts_with(first.end, CharClass::Letter))
      return run_end(first.end, CharClass::Letter);
    if (first.kind == CharClass::Other) return punctuation_end(first.end);
    if (text_[at_] == ' ' && starts_with(first.end, CharClass::Other))
      return punctuation_end(first.end);
    return cl100k_space_end();
  }

  size_t digits_end(size_t at) const {
    for (int count = 1; count < scanner_.most_digits && starts_with(at, CharClass::Number);
         ++count) {
      at = read(at).end;
    }
    return at;
  }

  size_t punctuation_end(size_t at) const {
    return run_end(run_end(at, CharClass::Other), CharClass::NewLine);
  }

  // White space up to its last new line is one piece.
  size_t cl100k_space_end() const {
    size_t last = at_, end = at_, lines = at_;
    while (end < text_.size()) {
      Char next = read(end);
      if (!is_space(next.kind)) break;
      if (next.kind == CharClass::NewLine) lines = next.end;
      last = end;
      end = next.end;
    }
    return lines > at_ ? lines : space_end(end, last);
  }

  const SplitScanner& scanner_;
  std::string_view text_;
  std::vector<Span>& spans_;
  size_t at_ = 0;
};

}  // namespace

void SplitScanner::scan(std::string_view text, std::vector<Span>& spans) const {
  Scan(*this, text, spans).run();
}

std::optional<SplitScanner> known_scanner(std::string_view pattern) {
  for (const KnownPattern& known : kKnown) {
    if (known.pattern == pattern) return known.scanner;
  }
  return std::nullopt;
}

}  // namespace tenon::text
