#include "text/word_pre_tokenizers.h"

#include "text/package_unicode.h"
#include "text/split_pieces.h"
#include "text/unicode.h"
#include "text/unicode_scripts.h"

namespace tenon::text {
namespace {

// FunctionRef takes objects, not functions.
constexpr auto kIsSpace = [](CodePoint c) { return is_white_space(c); };
constexpr auto kIsNumber = [](CodePoint c) { return is_number(c); };
constexpr auto kIsPunctuation = [](CodePoint c) { return is_bert_punctuation(c); };

// Words, and runs of what is neither word nor space: the matches of \w+|[^\w\s]+.
class WhitespacePreTokenizer : public PreTokenizer {
 public:
  void apply(Pieces& pieces) const override {
    split_pieces(pieces, SplitBehavior::Isolated,
                 [](std::string_view text, std::vector<Span>& spans) {
                   Kind kind = Kind::Space;
                   uint32_t begin = 0;
                   for (size_t at = 0; at < text.size();) {
                     auto here = static_cast<uint32_t>(at);
                     Kind next = kind_of(next_char(text, at));
                     if (next == kind) continue;
                     if (kind != Kind::Space) spans.push_back({begin, here, true});
                     kind = next;
                     begin = here;
                   }
                   auto end = static_cast<uint32_t>(text.size());
                   if (kind != Kind::Space) spans.push_back({begin, end, true});
                 });
  }

 private:
  enum class Kind { Space, Word, Other };
  static Kind kind_of(CodePoint c) {
    if (is_word(c)) return Kind::Word;
    return is_white_space(c) ? Kind::Space : Kind::Other;
  }
};

class WhitespaceSplitPreTokenizer : public PreTokenizer {
 public:
  void apply(Pieces& pieces) const override {
    split_at_chars(pieces, SplitBehavior::Removed, kIsSpace);
  }
};

class BertPreTokenizer : public PreTokenizer {
 public:
  void apply(Pieces& pieces) const override {
    split_at_chars(pieces, SplitBehavior::Removed, kIsSpace);
    split_at_chars(pieces, SplitBehavior::Isolated, kIsPunctuation);
  }
};

class PunctuationPreTokenizer : public PreTokenizer {
 public:
  explicit PunctuationPreTokenizer(const Component& component)
      : behavior_(component.has("behavior") ? read_split_behavior(component)
                                            : SplitBehavior::Isolated) {}
  void apply(Pieces& pieces) const override { split_at_chars(pieces, behavior_, kIsPunctuation); }

 private:
  SplitBehavior behavior_;
};

class DigitsPreTokenizer : public PreTokenizer {
 public:
  explicit DigitsPreTokenizer(const Component& component)
      : behavior_(component.flag("individual_digits", false) ? SplitBehavior::Isolated
                                                             : SplitBehavior::Contiguous) {}
  void apply(Pieces& pieces) const override { split_at_chars(pieces, behavior_, kIsNumber); }

 private:
  SplitBehavior behavior_;
};

class CharDelimiterPreTokenizer : public PreTokenizer {
 public:
  explicit CharDelimiterPreTokenizer(const Component& component)
      : delimiter_(component.character("delimiter")) {}
  void apply(Pieces& pieces) const override {
    split_at_chars(pieces, SplitBehavior::Removed, [&](CodePoint c) { return c == delimiter_; });
  }

 private:
  CodePoint delimiter_;
};

// Cuts where the script changes. Spaces belong to the script before them, as do spaces at the start
// to nothing: the original drops them.
class ScriptsPreTokenizer : public PreTokenizer {
 public:
  void apply(Pieces& pieces) const override {
    split_pieces(pieces, SplitBehavior::Isolated,
                 [](std::string_view text, std::vector<Span>& spans) {
                   int last = kNoneYet;
                   uint32_t begin = 0;
                   for (size_t at = 0; at < text.size();) {
                     auto here = static_cast<uint32_t>(at);
                     int script = script_of(next_char(text, at));
                     if (script == 0) continue;
                     if (script != last && last != kNoneYet) spans.push_back({begin, here, true});
                     if (script != last) begin = here;
                     last = script;
                   }
                   auto end = static_cast<uint32_t>(text.size());
                   if (last != kNoneYet) spans.push_back({begin, end, true});
                 });
  }

 private:
  static constexpr int kNoneYet = -1;
};

class FixedLengthPreTokenizer : public PreTokenizer {
 public:
  explicit FixedLengthPreTokenizer(const Component& component)
      : length_(component.has("length") ? component.number("length", 1, INT32_MAX) : 5) {}
  void apply(Pieces& pieces) const override {
    split_pieces(pieces, SplitBehavior::Isolated,
                 [&](std::string_view text, std::vector<Span>& spans) {
                   for (size_t at = 0; at < text.size();) {
                     auto begin = static_cast<uint32_t>(at);
                     for (int64_t i = 0; i < length_ && at < text.size(); ++i) next_char(text, at);
                     spans.push_back({begin, static_cast<uint32_t>(at), true});
                   }
                 });
  }

 private:
  int64_t length_;
};

}  // namespace

std::unique_ptr<const PreTokenizer> make_word_pre_tokenizer(const Component& component) {
  std::string type = component.type();
  if (type == "Whitespace") return std::make_unique<WhitespacePreTokenizer>();
  if (type == "WhitespaceSplit") return std::make_unique<WhitespaceSplitPreTokenizer>();
  if (type == "BertPreTokenizer") return std::make_unique<BertPreTokenizer>();
  if (type == "Punctuation") return std::make_unique<PunctuationPreTokenizer>(component);
  if (type == "Digits") return std::make_unique<DigitsPreTokenizer>(component);
  if (type == "CharDelimiterSplit") return std::make_unique<CharDelimiterPreTokenizer>(component);
  if (type == "UnicodeScripts") return std::make_unique<ScriptsPreTokenizer>();
  if (type == "FixedLength") return std::make_unique<FixedLengthPreTokenizer>(component);
  return nullptr;
}

}  // namespace tenon::text
