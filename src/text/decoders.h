#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "text/component_json.h"

namespace tenon::text {

// One step of decoding. Text arrives in fragments; `starts_token` is set on the first fragment of
// each token, so a step that joins tokens passes later fragments on at once.
struct DecoderStage {
  virtual ~DecoderStage() = default;
  virtual void push(std::string_view text, bool starts_token) = 0;
  virtual void finish() = 0;
};

struct DecoderOptions {
  // Passes a character on as soon as its bytes are complete. Off, a run of byte tokens is judged
  // as a whole, and one bad byte replaces all of it, as Hugging Face decodes a finished text.
  bool eager = false;
};

class Decoder {
 public:
  virtual ~Decoder() = default;
  // The stage in front of `next`, which it owns.
  virtual std::unique_ptr<DecoderStage> make_stage(std::unique_ptr<DecoderStage> next,
                                                   const DecoderOptions& options) const = 0;
  // Whether its stage must see each token in one fragment.
  virtual bool needs_whole_tokens() const { return false; }
  // Whether its stage passes one fragment on for each that it gets.
  virtual bool keeps_tokens_whole() const { return false; }
};

// JSON null gives the decoder that joins tokens by spaces. Throws ErrorCode::Unsupported naming the
// type and those accepted.
std::unique_ptr<const Decoder> make_decoder(const Component& component);

// The last stage: appends to `out`.
std::unique_ptr<DecoderStage> make_text_sink(std::string& out);

}  // namespace tenon::text
