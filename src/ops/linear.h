#pragma once

#include <string>

#include "ops/op.h"

namespace tenon::ops {

// y = activation(x . weight^T + bias) + residual; sums in f32 at least.
// x [..., in], weight [out, in], bias [out], residual [..., out] -> y [..., out].
struct Linear {
  static constexpr std::string_view kName = "linear";
  std::string activation;  // "" or a kind of `unary`
  std::string dtype;       // of y; "" means x's

  template <class V>
  void visit(V&& v) {
    v("activation", activation);
    v("dtype", dtype);
  }
  static void infer(InferContext& context);
  static OpDef def() {
    return define_op<Linear>(
        {{"x"}, {"weight"}, {"bias", PortKind::Optional}, {"residual", PortKind::Optional}},
        {{"y"}}, "y = activation(x . weight^T + bias) + residual");
  }
};

}  // namespace tenon::ops
