#include "text/sentencepiece_decoder.h"

#include "text/byte_pieces.h"
#include "text/decoder_stages.h"

namespace tenon::text {
namespace {

constexpr std::string_view kSpaceSymbol = "\u2581";

struct Settings {
  std::string unk, unk_surface;
  bool byte_fallback, add_dummy_prefix, remove_extra;
};

struct SentencePieceStage : ChainedStage {
  SentencePieceStage(std::unique_ptr<DecoderStage> following, const Settings& with)
      : ChainedStage(std::move(following)), settings(with) {}

  void push(std::string_view piece, bool) override {
    int byte = settings.byte_fallback ? byte_of_piece(piece) : -1;
    if (byte >= 0) {
      assembler_.push(static_cast<uint8_t>(byte), ready_);
      return emit();
    }
    assembler_.finish(ready_);
    emit();
    if (prefix_seen_ || any_text_) at_start_ = false;
    prefix_seen_ = false;
    if (piece == settings.unk) {
      ready_ = settings.unk_surface;
    } else {
      append_piece(piece);
    }
    emit();
  }

  void finish() override {
    assembler_.finish(ready_);
    emit();
    next->finish();
  }

  const Settings& settings;

 private:
  // The space before the first piece was put there by the normaliser; where that also drops extra
  // spaces, all spaces before the first text are.
  void append_piece(std::string_view piece) {
    bool strips = at_start_ && (settings.add_dummy_prefix || settings.remove_extra);
    if (strips && piece.starts_with(kSpaceSymbol)) {
      piece.remove_prefix(kSpaceSymbol.size());
      prefix_seen_ = !settings.remove_extra;
    }
    while (!piece.empty()) {
      size_t space = std::min(piece.find(kSpaceSymbol), piece.size());
      ready_ += piece.substr(0, space);
      if (space == piece.size()) break;
      ready_ += ' ';
      piece.remove_prefix(space + kSpaceSymbol.size());
    }
  }

  void emit() {
    if (ready_.empty()) return;
    next->push(ready_, !any_text_);
    any_text_ = true;
    ready_.clear();
  }

  Utf8Assembler assembler_{Utf8Assembler::Replacement::EachByte};
  std::string ready_;
  bool any_text_ = false;
  bool at_start_ = true;      // nothing but stripped spaces so far
  bool prefix_seen_ = false;  // the last piece began with the one space to be stripped
};

class SentencePieceDecoder : public Decoder {
 public:
  explicit SentencePieceDecoder(const Component& component)
      : settings_{component.text("unk"), component.text("unk_surface"),
                  component.flag("byte_fallback", false), component.flag("add_dummy_prefix", true),
                  component.flag("remove_extra_whitespaces", true)} {}
  std::unique_ptr<DecoderStage> make_stage(std::unique_ptr<DecoderStage> next,
                                           const DecoderOptions&) const override {
    return std::make_unique<SentencePieceStage>(std::move(next), settings_);
  }
  bool needs_whole_tokens() const override { return true; }

 private:
  Settings settings_;
};

}  // namespace

std::unique_ptr<const Decoder> make_sentencepiece_decoder(const Component& component) {
  return std::make_unique<SentencePieceDecoder>(component);
}

}  // namespace tenon::text
