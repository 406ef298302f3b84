#include "text/decoders.h"

#include <vector>

#include "text/decoder_stages.h"
#include "text/sentencepiece_decoder.h"
#include "text/word_decoders.h"

namespace tenon::text {
namespace {

constexpr std::string_view kAccepted =
    "Sequence, ByteLevel, Metaspace, Replace, ByteFallback, Fuse, Strip, WordPiece, BPEDecoder or "
    "CTC";

using Stage = std::unique_ptr<DecoderStage>;

struct TextSink : DecoderStage {
  explicit TextSink(std::string& text) : out(text) {}
  void push(std::string_view text, bool) override { out += text; }
  void finish() override {}
  std::string& out;
};

class JoinDecoder : public Decoder {
 public:
  Stage make_stage(Stage next, const DecoderOptions&) const override {
    return std::make_unique<JoinStage>(std::move(next));
  }
};

class ByteLevelDecoder : public Decoder {
 public:
  Stage make_stage(Stage next, const DecoderOptions&) const override {
    return std::make_unique<ByteLevelStage>(std::move(next));
  }
  bool needs_whole_tokens() const override { return true; }
};

class ByteFallbackDecoder : public Decoder {
 public:
  Stage make_stage(Stage next, const DecoderOptions& options) const override {
    return std::make_unique<ByteFallbackStage>(std::move(next), options.eager);
  }
  bool needs_whole_tokens() const override { return true; }
};

class FuseDecoder : public Decoder {
 public:
  Stage make_stage(Stage next, const DecoderOptions&) const override {
    return std::make_unique<FuseStage>(std::move(next));
  }
};

class ReplaceDecoder : public Decoder {
 public:
  explicit ReplaceDecoder(const Component& component)
      : pattern_(Pattern::from_json(component.member("pattern"))),
        content_(component.text("content")) {}
  Stage make_stage(Stage next, const DecoderOptions&) const override {
    return std::make_unique<ReplaceStage>(std::move(next), pattern_, content_);
  }
  bool needs_whole_tokens() const override { return !pattern_.is_single_char(); }
  bool keeps_tokens_whole() const override { return true; }

 private:
  Pattern pattern_;
  std::string content_;
};

class StripDecoder : public Decoder {
 public:
  explicit StripDecoder(const Component& component)
      : start_(component.number("start", 0, kMost)), stop_(component.number("stop", 0, kMost)) {
    append_utf8(content_, component.character("content"));
  }
  Stage make_stage(Stage next, const DecoderOptions&) const override {
    return std::make_unique<StripStage>(std::move(next), content_, start_, stop_);
  }
  bool needs_whole_tokens() const override { return stop_ > 0; }
  bool keeps_tokens_whole() const override { return true; }

 private:
  static constexpr int64_t kMost = 1 << 20;
  std::string content_;
  int64_t start_, stop_;
};

class MetaspaceDecoder : public Decoder {
 public:
  explicit MetaspaceDecoder(const Component& component) : pattern_(pattern_of(component)) {
    bool prefix = component.flag("add_prefix_space", true);
    strip_first_ = component.text("prepend_scheme", prefix ? "always" : "never") != "never";
  }
  Stage make_stage(Stage next, const DecoderOptions&) const override {
    return std::make_unique<MetaspaceStage>(std::move(next), pattern_, strip_first_);
  }
  bool keeps_tokens_whole() const override { return true; }

 private:
  static Pattern pattern_of(const Component& component) {
    std::string text;
    append_utf8(text, component.character("replacement"));
    return Pattern::literal(text);
  }
  Pattern pattern_;
  bool strip_first_;
};

class SequenceDecoder : public Decoder {
 public:
  explicit SequenceDecoder(const std::vector<Component>& list) {
    for (const Component& item : list) parts_.push_back(make_decoder(item));
  }
  Stage make_stage(Stage next, const DecoderOptions& options) const override {
    size_t whole = 0;  // steps up to this one get each token whole
    while (whole < parts_.size() && parts_[whole]->keeps_tokens_whole()) ++whole;
    for (size_t i = parts_.size(); i-- > 0;) {
      next = parts_[i]->make_stage(std::move(next), options);
      if (i > whole && parts_[i]->needs_whole_tokens()) {
        next = std::make_unique<WholeTokensStage>(std::move(next));
      }
    }
    return next;
  }
  bool needs_whole_tokens() const override {
    return !parts_.empty() && parts_[0]->needs_whole_tokens();
  }

 private:
  std::vector<std::unique_ptr<const Decoder>> parts_;
};

}  // namespace

std::unique_ptr<DecoderStage> make_text_sink(std::string& out) {
  return std::make_unique<TextSink>(out);
}

std::unique_ptr<const Decoder> make_decoder(const Component& component) {
  if (component.json.is_null()) return std::make_unique<JoinDecoder>();
  std::string type = component.type();
  if (type == "Sequence") return std::make_unique<SequenceDecoder>(component.sequence("decoders"));
  if (type == "ByteLevel") return std::make_unique<ByteLevelDecoder>();
  if (type == "Metaspace") return std::make_unique<MetaspaceDecoder>(component);
  if (type == "Replace") return std::make_unique<ReplaceDecoder>(component);
  if (type == "ByteFallback") return std::make_unique<ByteFallbackDecoder>();
  if (type == "Fuse") return std::make_unique<FuseDecoder>();
  if (type == "Strip") return std::make_unique<StripDecoder>(component);
  if (type == "SentencePiece") return make_sentencepiece_decoder(component);
  if (auto by_words = make_word_decoder(component)) return by_words;
  throw unsupported_component(component, "decoder", kAccepted);
}

}  // namespace tenon::text
