#pragma once

#include <iterator>
#include <string>

#include "ops/kinds.h"
#include "ops/op.h"

namespace tenon::ops {

// y = kind(x), elementwise.
// gelu_erf:  x * 0.5 * (1 + erf(x / sqrt 2))
// gelu_tanh: 0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))
// quick_gelu: x * sigmoid(1.702 x);  silu: x * sigmoid(x)
struct Unary {
  static constexpr std::string_view kName = "unary";
  std::string kind = "relu";
  std::string dtype;  // of y; "" means x's

  template <class V>
  void visit(V&& v) {
    v("kind", kind);
    v("dtype", dtype);
  }
  static void infer(InferContext& context) {
    Unary op = read_attributes<Unary>(context.attributes());
    check_kind(op.kind, kUnaryKinds, std::size(kUnaryKinds), kName);
    context.need_float(0, "x");
    const ValueType& x = context.input(0);
    context.set_output(0, {dtype_attribute(op.dtype, x.dtype), x.shape, {}});
  }
  static OpDef def() { return define_op<Unary>({{"x"}}, {{"y"}}, "y = kind(x), elementwise"); }
};

}  // namespace tenon::ops
