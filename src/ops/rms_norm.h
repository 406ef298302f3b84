#pragma once

#include <string>

#include "ops/op.h"

namespace tenon::ops {

// s = x + residual;  y = s / sqrt(mean(s^2) + eps) * weight, over the last axis, computed in f32.
// x [..., d], weight [d], residual [..., d] -> y [..., d], sum [..., d] (= s, in x's type; the node
// has it as second output where the residual stream goes on).
struct RmsNorm {
  static constexpr std::string_view kName = "rms_norm";
  double eps = 1e-6;
  std::string dtype;  // of y; "" means x's

  template <class V>
  void visit(V&& v) {
    v("eps", eps);
    v("dtype", dtype);
  }
  static void infer(InferContext& context);
  static OpDef def() {
    return define_op<RmsNorm>({{"x"}, {"weight"}, {"residual", PortKind::Optional}},
                              {{"y"}, {"sum", PortKind::Optional}},
                              "s = x + residual; y = s / sqrt(mean(s^2) + eps) * weight");
  }
};

}  // namespace tenon::ops
