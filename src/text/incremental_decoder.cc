#include "text/incremental_decoder.h"

#include "text/tokenizer_parts.h"

namespace tenon::text {

struct IncrementalDecoder::State {
  std::shared_ptr<const Tokenizer> tokenizer;
  bool skip_special;
  std::string ready;
  std::unique_ptr<DecoderStage> stage;

  std::string take() {
    std::string text = std::move(ready);
    ready.clear();
    return text;
  }
};

IncrementalDecoder::IncrementalDecoder(std::shared_ptr<const Tokenizer> tokenizer,
                                       bool skip_special)
    : state_(std::make_unique<State>()) {
  state_->tokenizer = std::move(tokenizer);
  state_->skip_special = skip_special;
  state_->stage = state_->tokenizer->parts().decoder->make_stage(make_text_sink(state_->ready),
                                                                 {.eager = true});
}

IncrementalDecoder::~IncrementalDecoder() = default;
IncrementalDecoder::IncrementalDecoder(IncrementalDecoder&&) noexcept = default;
IncrementalDecoder& IncrementalDecoder::operator=(IncrementalDecoder&&) noexcept = default;

std::string IncrementalDecoder::push(int32_t id) {
  push_token(state_->tokenizer->parts(), id, state_->skip_special, *state_->stage);
  return state_->take();
}

std::string IncrementalDecoder::finish() {
  state_->stage->finish();
  return state_->take();
}

}  // namespace tenon::text
