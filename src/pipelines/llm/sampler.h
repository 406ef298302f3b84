#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "pipelines/llm/request.h"
#include "runtime/stage_runner.h"

namespace tenon::llm {

// What one row of logits is drawn with.
struct SampleRow {
  const SamplingParams* params = nullptr;
  std::span<const int32_t> history;  // prompt and new tokens, for the repetition penalty
  uint64_t index = 0;                // of the new token within its request
};

struct Drawn {
  int32_t id = 0;
  float logprob = 0;
};

// Draws tokens through the plan's "sample" stage.
class Sampler {
 public:
  explicit Sampler(runtime::StageRunner& stage);
  // logits f32 [rows, vocabulary], where the decoder stage left them. The result is borrowed until
  // the next call.
  std::span<const Drawn> draw(const TensorView& logits, std::span<const SampleRow> rows);

 private:
  void collect(std::span<const SampleRow> rows);
  runtime::StageRunner& stage_;
  std::vector<float> temperature_, top_p_, repetition_penalty_, uniform_;
  std::vector<int32_t> top_k_, history_, history_offsets_;
  std::vector<Drawn> drawn_;
};

}  // namespace tenon::llm
