#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "tensor/tensor.h"

namespace tenon::llm {

// Part of one sequence in a step.
struct StepPart {
  std::span<const int32_t> tokens;             // the new ones; -1 - r is row r of embed_rows
  std::span<const float* const> embed_rows;    // of the whole sequence, each [hidden]
  int64_t first_position = 0;                  // of tokens[0]
  std::span<const int32_t> blocks;             // of the whole sequence
  enum class Rows { None, Last, All } logits;  // which tokens' logits are wanted
};

// The input tensors of the decoder stage for one ragged step. Keeps its memory between steps.
class StepInputs {
 public:
  // Every step has this width of the block table, so that the stage is bound once for all lengths.
  StepInputs(int64_t hidden, int64_t max_blocks) : hidden_(hidden), max_blocks_(max_blocks) {}

  void clear();
  void add(const StepPart& part);

  int64_t tokens() const { return static_cast<int64_t>(ids_.size()); }
  int64_t rows() const { return static_cast<int64_t>(logit_rows_.size()); }
  // In the order of kDecoderInputs, borrowed until the next clear() or add().
  std::array<TensorView, 7> views() const;

 private:
  int64_t hidden_, max_blocks_;
  std::vector<int32_t> ids_, positions_, seq_offsets_{0}, kv_lengths_, block_table_, logit_rows_;
  std::vector<float> embeds_;  // [embed_rows, hidden]
};

// The names of the decoder stage's inputs, in order.
inline constexpr std::array<const char*, 7> kDecoderInputs = {
    "ids", "embeds", "positions", "seq_offsets", "kv_lengths", "block_table", "logit_rows"};

// A view of a vector. One of length 0 still has an address: views without one mean "absent".
template <class T>
TensorView view_of(const std::vector<T>& values, DType dtype, const Extents& extents) {
  static const T kNothing{};
  return TensorView(values.empty() ? &kNothing : values.data(), dtype, extents);
}

}  // namespace tenon::llm
