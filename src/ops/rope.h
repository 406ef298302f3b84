#pragma once

#include "ops/op.h"

namespace tenon::ops {

// Rotary position embedding. For each head and pair j: angle = positions[t] * inv_freq[j];
// (a, b) -> (a cos - b sin, b cos + a sin) * scale, the pair being (j, j + r) of the head, or
// (2 j, 2 j + 1) where interleaved, with r = size of inv_freq. Dims beyond 2 r pass unchanged.
// x [tokens, heads * head_dim], positions i32 [tokens], inv_freq f32 [r] -> y like x. f32 inside.
struct Rope {
  static constexpr std::string_view kName = "rope";
  int64_t head_dim = 0;
  bool interleaved = false;
  double scale = 1.0;  // attention factor of YaRN

  template <class V>
  void visit(V&& v) {
    v("head_dim", head_dim);
    v("interleaved", interleaved);
    v("scale", scale);
  }
  static void infer(InferContext& context);
  static OpDef def() {
    return define_op<Rope>({{"x"}, {"positions"}, {"inv_freq"}}, {{"y"}},
                           "rotate pairs of each head by positions * inv_freq, times scale");
  }
};

}  // namespace tenon::ops
