#include "text/pre_tokenizers.h"

#include "base/function_ref.h"
#include "text/byte_level.h"
#include "text/pattern.h"
#include "text/split_pieces.h"
#include "text/unicode.h"
#include "text/word_pre_tokenizers.h"

namespace tenon::text {
namespace {

constexpr std::string_view kAccepted =
    "Sequence, ByteLevel, Split, Metaspace, Whitespace, WhitespaceSplit, BertPreTokenizer, "
    "Punctuation, Digits, CharDelimiterSplit, UnicodeScripts or FixedLength";

// Writes a new text from what `respell` appends for each piece of text.
void respell_pieces(
    Pieces& pieces, size_t expected_bytes,
    FunctionRef<void(const Piece& piece, std::string_view text, std::string& out)> respell) {
  std::string out;
  out.reserve(expected_bytes);
  for (Piece& piece : pieces.items) {
    auto begin = static_cast<uint32_t>(out.size());
    std::string_view text = pieces.view(piece);
    if (piece.token >= 0) {
      append_checked(out, text);
    } else {
      respell(piece, text, out);
    }
    piece.begin = begin;
    piece.end = static_cast<uint32_t>(out.size());
  }
  pieces.text = std::move(out);
}

class SequencePreTokenizer : public PreTokenizer {
 public:
  explicit SequencePreTokenizer(const std::vector<Component>& list) {
    for (const Component& item : list) {
      if (auto part = make_pre_tokenizer(item)) parts_.push_back(std::move(part));
    }
  }
  void apply(Pieces& pieces) const override {
    // A prefix space a piece at most, each of one byte at least.
    size_t most = growth_limit(pieces.text.size());
    for (const auto& part : parts_) {
      part->apply(pieces);
      check_growth(pieces.text.size(), most);
    }
  }

 private:
  std::vector<std::unique_ptr<const PreTokenizer>> parts_;
};

class ByteLevelPreTokenizer : public PreTokenizer {
 public:
  explicit ByteLevelPreTokenizer(const Component& component)
      : add_prefix_space_(component.flag("add_prefix_space", true)),
        use_regex_(component.flag("use_regex", true)) {}

  void apply(Pieces& pieces) const override {
    if (add_prefix_space_) {
      respell_pieces(pieces, pieces.text.size() + 16,
                     [](const Piece&, std::string_view text, std::string& out) {
                       if (!text.starts_with(' ')) out += ' ';
                       append_checked(out, text);
                     });
    }
    if (use_regex_) {
      split_pieces(pieces, SplitBehavior::Isolated,
                   [](std::string_view text, std::vector<Span>& spans) {
                     known_scanner(kGpt2Pattern)->scan(text, spans);
                   });
    }
    respell_pieces(pieces, pieces.text.size() * 5 / 4,
                   [](const Piece&, std::string_view text, std::string& out) {
                     for (char c : text) append_byte_char(out, static_cast<uint8_t>(c));
                   });
  }

 private:
  bool add_prefix_space_, use_regex_;
};

class SplitPreTokenizer : public PreTokenizer {
 public:
  explicit SplitPreTokenizer(const Component& component)
      : pattern_(Pattern::from_json(component.member("pattern"))),
        behavior_(read_split_behavior(component)),
        invert_(component.flag("invert", false)) {}

  void apply(Pieces& pieces) const override {
    split_pieces(pieces, behavior_, [&](std::string_view text, std::vector<Span>& spans) {
      pattern_.find(text, spans);
      if (!invert_) return;
      for (Span& span : spans) span.match = !span.match;
    });
  }

 private:
  Pattern pattern_;
  SplitBehavior behavior_;
  bool invert_;
};

class MetaspacePreTokenizer : public PreTokenizer {
 public:
  enum class Prepend { Always, First, Never };

  explicit MetaspacePreTokenizer(const Component& component)
      : prepend_(prepend_of(component)), split_(component.flag("split", true)) {
    append_utf8(replacement_, component.character("replacement"));
  }

  void apply(Pieces& pieces) const override {
    respell_pieces(pieces, pieces.text.size() * 3 / 2,
                   [&](const Piece& piece, std::string_view text, std::string& out) {
                     bool wanted = prepend_ == Prepend::Always ||
                                   (prepend_ == Prepend::First && piece.at_start);
                     bool has = text.starts_with(' ') || text.starts_with(replacement_);
                     if (wanted && !has) out += replacement_;
                     append_replaced(text, out);
                   });
    if (!split_) return;
    Pattern pattern = Pattern::literal(replacement_);
    split_pieces(
        pieces, SplitBehavior::MergedWithNext,
        [&](std::string_view text, std::vector<Span>& spans) { pattern.find(text, spans); });
  }

 private:
  static Prepend prepend_of(const Component& component) {
    // Files from before prepend_scheme have add_prefix_space.
    bool prefix = component.flag("add_prefix_space", true);
    std::string name = component.text("prepend_scheme", prefix ? "always" : "never");
    if (name == "always") return Prepend::Always;
    if (name == "first") return Prepend::First;
    if (name == "never") return Prepend::Never;
    throw Error(ErrorCode::BadInput, "no such prepend_scheme")
        .at(component.place + ".prepend_scheme")
        .got(name)
        .accepted("always, first or never");
  }

  void append_replaced(std::string_view text, std::string& out) const {
    size_t copied = 0;
    for (size_t at = text.find(' '); at != text.npos; at = text.find(' ', copied)) {
      out += text.substr(copied, at - copied);
      out += replacement_;
      copied = at + 1;
    }
    append_checked(out, text.substr(copied));
  }

  std::string replacement_;
  Prepend prepend_;
  bool split_;
};

}  // namespace

std::unique_ptr<const PreTokenizer> make_pre_tokenizer(const Component& component) {
  if (component.json.is_null()) return nullptr;
  std::string type = component.type();
  if (type == "Sequence")
    return std::make_unique<SequencePreTokenizer>(component.sequence("pretokenizers"));
  if (type == "ByteLevel") return std::make_unique<ByteLevelPreTokenizer>(component);
  if (type == "Split") return std::make_unique<SplitPreTokenizer>(component);
  if (type == "Metaspace") return std::make_unique<MetaspacePreTokenizer>(component);
  if (auto word = make_word_pre_tokenizer(component)) return word;
  throw unsupported_component(component, "pre-tokenizer", kAccepted);
}

}  // namespace tenon::text
