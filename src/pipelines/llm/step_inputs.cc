#include "pipelines/llm/step_inputs.h"

#include "base/error.h"

namespace tenon::llm {

void StepInputs::clear() {
  for (auto* list : {&ids_, &positions_, &kv_lengths_, &block_table_, &logit_rows_}) list->clear();
  seq_offsets_.assign(1, 0);
  embeds_.clear();
}

void StepInputs::add(const StepPart& part) {
  auto count = static_cast<int64_t>(part.tokens.size());
  auto blocks = static_cast<int64_t>(part.blocks.size());
  TENON_CHECK(count > 0 && blocks <= max_blocks_);
  for (int64_t i = 0; i < count; ++i) {
    int32_t id = part.tokens[i];
    if (id < 0) {
      const float* row = part.embed_rows[-1 - id];
      id = -1 - static_cast<int32_t>(static_cast<int64_t>(embeds_.size()) / hidden_);
      embeds_.insert(embeds_.end(), row, row + hidden_);
    }
    if (part.logits == StepPart::Rows::All ||
        (part.logits == StepPart::Rows::Last && i + 1 == count)) {
      logit_rows_.push_back(static_cast<int32_t>(tokens()));
    }
    ids_.push_back(id);
    positions_.push_back(static_cast<int32_t>(part.first_position + i));
  }
  seq_offsets_.push_back(static_cast<int32_t>(tokens()));
  kv_lengths_.push_back(static_cast<int32_t>(part.first_position + count));
  block_table_.insert(block_table_.end(), part.blocks.begin(), part.blocks.end());
  block_table_.resize(kv_lengths_.size() * max_blocks_, 0);
}

std::array<TensorView, 7> StepInputs::views() const {
  auto seqs = static_cast<int64_t>(kv_lengths_.size());
  auto embed_rows = static_cast<int64_t>(embeds_.size()) / hidden_;
  return {view_of(ids_, DType::I32, {tokens()}),
          view_of(embeds_, DType::F32, {embed_rows, hidden_}),
          view_of(positions_, DType::I32, {tokens()}),
          view_of(seq_offsets_, DType::I32, {seqs + 1}),
          view_of(kv_lengths_, DType::I32, {seqs}),
          view_of(block_table_, DType::I32, {seqs, max_blocks_}),
          view_of(logit_rows_, DType::I32, {rows()})};
}

}  // namespace tenon::llm
