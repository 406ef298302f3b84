#include "pipelines/llm/sampler.h"

#include "base/error.h"
#include "pipelines/llm/counter_random.h"
#include "pipelines/llm/step_inputs.h"

namespace tenon::llm {

Sampler::Sampler(runtime::StageRunner& stage) : stage_(stage) {
  constexpr size_t kInputs = 8;  // of ops/sample.h, without `banned`
  if (stage.stage().inputs.size() != kInputs || stage.stage().outputs.size() != 2) {
    throw Error(ErrorCode::WrongPlan, "the stage does not take the sampling inputs")
        .at(stage.stage().name)
        .got(std::to_string(stage.stage().inputs.size()) + " inputs")
        .accepted(std::to_string(kInputs));
  }
}

void Sampler::collect(std::span<const SampleRow> rows) {
  for (auto* list : {&temperature_, &top_p_, &repetition_penalty_, &uniform_}) list->clear();
  top_k_.clear();
  history_.clear();
  history_offsets_.assign(1, 0);
  for (const SampleRow& row : rows) {
    const SamplingParams& params = *row.params;
    temperature_.push_back(static_cast<float>(params.temperature));
    top_p_.push_back(static_cast<float>(params.top_p));
    repetition_penalty_.push_back(static_cast<float>(params.repetition_penalty));
    uniform_.push_back(uniform_draw(params.seed, row.index));
    top_k_.push_back(static_cast<int32_t>(params.top_k));
    // Only the penalty reads the history.
    if (params.repetition_penalty != 1) {
      history_.insert(history_.end(), row.history.begin(), row.history.end());
    }
    history_offsets_.push_back(static_cast<int32_t>(history_.size()));
  }
}

std::span<const Drawn> Sampler::draw(const TensorView& logits, std::span<const SampleRow> rows) {
  collect(rows);
  auto count = static_cast<int64_t>(rows.size());
  auto history = static_cast<int64_t>(history_.size());
  const runtime::StageInput inputs[] = {
      {logits, true},  // where the decoder left them
      {view_of(temperature_, DType::F32, {count})},
      {view_of(top_k_, DType::I32, {count})},
      {view_of(top_p_, DType::F32, {count})},
      {view_of(repetition_penalty_, DType::F32, {count})},
      {view_of(uniform_, DType::F32, {count})},
      {view_of(history_, DType::I32, {history})},
      {view_of(history_offsets_, DType::I32, {count + 1})},
  };
  std::span<const TensorView> outputs = stage_.run(inputs);
  drawn_.assign(rows.size(), {});
  const auto* ids = stage_.to_host(outputs[0]).as<const int32_t>();
  for (size_t row = 0; row < rows.size(); ++row) drawn_[row].id = ids[row];
  const auto* logprobs = stage_.to_host(outputs[1]).as<const float>();
  for (size_t row = 0; row < rows.size(); ++row) drawn_[row].logprob = logprobs[row];
  return drawn_;
}

}  // namespace tenon::llm
