#pragma once

#include <array>
#include <span>
#include <vector>

#include "pipelines/llm/step_inputs.h"
#include "tensor/dim.h"

namespace tenon::compiler {

// A size in which the decoder runs: so many sequences with so many new tokens each, in a paged
// cache of `context` positions a sequence.
struct DecoderShape {
  int64_t seqs = 1, tokens_each = 1, context = 64;
};

inline constexpr int64_t kTuneBlockSize = 16;  // the engine's

SymbolValues cache_symbols(const DecoderShape& shape);
SymbolValues symbols_of(const DecoderShape& shape);

// The inputs of one step in that shape: random ids at the end of half-full sequences, the last
// token of each giving logits.
class DecoderBatch {
 public:
  DecoderBatch(const DecoderShape& shape, int64_t hidden, int64_t vocabulary);
  // A step of given tokens: those of each sequence from `first` on.
  DecoderBatch(const DecoderShape& shape, int64_t hidden,
               std::span<const std::vector<int32_t>> tokens, int64_t first,
               llm::StepPart::Rows rows);
  const std::array<TensorView, 7>& views() const { return views_; }

 private:
  void add(const DecoderShape& shape, int64_t seq, std::span<const int32_t> tokens, int64_t first,
           llm::StepPart::Rows rows);
  llm::StepInputs inputs_;
  std::array<TensorView, 7> views_;
};

}  // namespace tenon::compiler
