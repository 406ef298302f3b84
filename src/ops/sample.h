#pragma once

#include "ops/op.h"

namespace tenon::ops {

// Draws one token a row, in this order (as transformers' logits processors): repetition penalty
// over the ids of history (each once: l > 0 ? l / p : l * p), banned ids to -inf where banned[r, i]
// >= 0, temperature, top-k (0: off), top-p (>= 1: off; the smallest set of most likely tokens whose
// sum reaches p), softmax, then the draw by `uniform`; temperature 0 is greedy (the lowest id of
// the largest logit). logprob is the token's log probability before penalties, under
// softmax(logits). logits f32 [rows, vocab]; temperature, top_p, repetition_penalty, uniform f32
// [rows]; top_k i32 [rows]; history i32 [history_tokens], history_offsets i32 [rows + 1]; banned
// i32 [rows, n]
// -> ids i32 [rows], logprobs f32 [rows].
struct Sample {
  static constexpr std::string_view kName = "sample";

  template <class V>
  void visit(V&&) {}
  static void infer(InferContext& context);
  static OpDef def() {
    return define_op<Sample>({{"logits"},
                              {"temperature"},
                              {"top_k"},
                              {"top_p"},
                              {"repetition_penalty"},
                              {"uniform"},
                              {"history"},
                              {"history_offsets"},
                              {"banned", PortKind::Optional}},
                             {{"ids"}, {"logprobs"}},
                             "draw one token a row from the processed logits");
  }
};

}  // namespace tenon::ops
