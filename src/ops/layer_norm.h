#pragma once

#include <string>

#include "ops/op.h"

namespace tenon::ops {

// s = x + residual;  y = (s - mean(s)) / sqrt(var(s) + eps) * weight + bias, over the last axis,
// computed in f32 with the biased variance.
// x [..., d], weight [d], bias [d], residual [..., d] -> y [..., d], sum [..., d] (= s).
struct LayerNorm {
  static constexpr std::string_view kName = "layer_norm";
  double eps = 1e-5;
  std::string dtype;  // of y; "" means x's

  template <class V>
  void visit(V&& v) {
    v("eps", eps);
    v("dtype", dtype);
  }
  static void infer(InferContext& context);
  static OpDef def() {
    return define_op<LayerNorm>(
        {{"x"}, {"weight"}, {"bias", PortKind::Optional}, {"residual", PortKind::Optional}},
        {{"y"}, {"sum", PortKind::Optional}},
        "s = x + residual; y = (s - mean(s)) / sqrt(var(s) + eps) * weight + bias");
  }
};

}  // namespace tenon::ops
