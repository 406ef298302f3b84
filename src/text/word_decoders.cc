#include "text/word_decoders.h"

#include <utility>

#include "text/decoder_stages.h"

namespace tenon::text {
namespace {

using Stage = std::unique_ptr<DecoderStage>;

std::string replaced_all(std::string_view text, std::string_view what, std::string_view with) {
  std::string out;
  size_t copied = 0;
  for (size_t at = text.find(what); at != text.npos; at = text.find(what, copied)) {
    out += text.substr(copied, at - copied);
    out += with;
    copied = at + what.size();
  }
  out += text.substr(copied);
  return out;
}

// Takes back the spaces that a pre-tokenizer of English put before punctuation and contractions.
std::string cleaned_up(std::string text) {
  constexpr std::pair<std::string_view, std::string_view> kRules[] = {
      {" .", "."},   {" ?", "?"},     {" !", "!"},     {" ,", ","},
      {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},   {" do not", " don't"},
      {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
  };
  for (const auto& [what, with] : kRules) {
    if (text.find(what) != text.npos) text = replaced_all(text, what, with);
  }
  return text;
}

// "##" of a token that continues a word goes; before any other token but the first comes a space.
struct WordPieceStage : ChainedStage {
  WordPieceStage(Stage following, std::string_view what, bool cleans)
      : ChainedStage(std::move(following)), prefix(what), cleanup(cleans) {}

  void push(std::string_view text, bool starts_token) override {
    std::string out;
    if (any_ && !text.starts_with(prefix)) out = ' ';
    if (any_ && text.starts_with(prefix)) text.remove_prefix(prefix.size());
    out += text;
    any_ = true;
    next->push(cleanup ? cleaned_up(std::move(out)) : out, starts_token);
  }

  std::string_view prefix;
  bool cleanup;

 private:
  bool any_ = false;
};

class WordPieceDecoder : public Decoder {
 public:
  explicit WordPieceDecoder(const Component& component)
      : prefix_(component.text("prefix", "##")), cleanup_(component.flag("cleanup", true)) {}
  Stage make_stage(Stage next, const DecoderOptions&) const override {
    return std::make_unique<WordPieceStage>(std::move(next), prefix_, cleanup_);
  }
  bool needs_whole_tokens() const override { return true; }
  bool keeps_tokens_whole() const override { return true; }

 private:
  std::string prefix_;
  bool cleanup_;
};

// The suffix of a word's last token is a space, or nothing in the last token of all: so a token is
// held until the next one comes.
struct BpeSuffixStage : ChainedStage {
  BpeSuffixStage(Stage following, std::string_view what)
      : ChainedStage(std::move(following)), suffix(what) {}

  void push(std::string_view text, bool) override {
    if (held_) next->push(replaced_all(token_, suffix, " "), true);
    token_ = text;
    held_ = true;
  }
  void finish() override {
    if (held_) next->push(replaced_all(token_, suffix, ""), true);
    held_ = false;
    next->finish();
  }

  std::string_view suffix;

 private:
  std::string token_;
  bool held_ = false;
};

class BpeSuffixDecoder : public Decoder {
 public:
  explicit BpeSuffixDecoder(const Component& component)
      : suffix_(component.text("suffix", "</w>")) {
    if (!suffix_.empty()) return;
    throw Error(ErrorCode::Unsupported, "an empty suffix is everywhere")
        .at(component.place + ".suffix");
  }
  Stage make_stage(Stage next, const DecoderOptions&) const override {
    return std::make_unique<BpeSuffixStage>(std::move(next), suffix_);
  }
  bool needs_whole_tokens() const override { return true; }
  bool keeps_tokens_whole() const override { return true; }

 private:
  std::string suffix_;
};

struct CtcSettings {
  std::string pad, delimiter;
  bool cleanup;
};

// One of equal neighbours, no padding tokens, a space for the word delimiter.
struct CtcStage : ChainedStage {
  CtcStage(Stage following, const CtcSettings& with)
      : ChainedStage(std::move(following)), settings(with) {}

  void push(std::string_view text, bool) override {
    if (any_ && text == previous_) return;
    any_ = true;
    previous_ = text;
    std::string out = replaced_all(text, settings.pad, "");
    // The original replaces the delimiter only where it also cleans up.
    if (settings.cleanup) out = replaced_all(cleaned_up(std::move(out)), settings.delimiter, " ");
    if (!out.empty()) next->push(out, true);
  }

  const CtcSettings& settings;

 private:
  std::string previous_;
  bool any_ = false;
};

class CtcDecoder : public Decoder {
 public:
  explicit CtcDecoder(const Component& component)
      : settings_{component.text("pad_token", "<pad>"), component.text("word_delimiter_token", "|"),
                  component.flag("cleanup", true)} {
    if (!settings_.pad.empty() && !settings_.delimiter.empty()) return;
    throw Error(ErrorCode::Unsupported, "CTC with an empty token is not supported")
        .at(component.place);
  }
  Stage make_stage(Stage next, const DecoderOptions&) const override {
    return std::make_unique<CtcStage>(std::move(next), settings_);
  }
  bool needs_whole_tokens() const override { return true; }

 private:
  CtcSettings settings_;
};

}  // namespace

std::unique_ptr<const Decoder> make_word_decoder(const Component& component) {
  std::string type = component.type();
  if (type == "WordPiece") return std::make_unique<WordPieceDecoder>(component);
  if (type == "BPEDecoder") return std::make_unique<BpeSuffixDecoder>(component);
  if (type == "CTC") return std::make_unique<CtcDecoder>(component);
  return nullptr;
}

}  // namespace tenon::text
