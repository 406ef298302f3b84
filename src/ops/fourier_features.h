#pragma once

#include "ops/op.h"

namespace tenon::ops {

// Random Fourier features of points in [0, 1]: p = 2 pi (2 x - 1) . frequencies;
// y = concat(sin(p), cos(p)). Source: segment_anything/modeling/prompt_encoder.py.
// x [..., d], frequencies [d, n] -> y [..., 2 n].
struct FourierFeatures {
  static constexpr std::string_view kName = "fourier_features";

  template <class V>
  void visit(V&&) {}
  static void infer(InferContext& context);
  static OpDef def() {
    return define_op<FourierFeatures>(
        {{"x"}, {"frequencies"}}, {{"y"}},
        "p = 2 pi (2 x - 1) . frequencies; y = concat(sin(p), cos(p))");
  }
};

}  // namespace tenon::ops
