#pragma once

#include <string>

#include "ops/expression.h"
#include "ops/op.h"

namespace tenon::ops {

// y = expression of x0, x1, ..., elementwise with NumPy broadcasting over all of them: a chain of
// unary and binary steps as one. Computed in f32 without rounding in between, then rounded once.
//   {expression: "silu(x0) * x1 + x2", dtype: ""}
struct Fused {
  static constexpr std::string_view kName = "fused";
  std::string expression = "x0";  // see ops/expression.h
  std::string dtype;              // of y; "" means x0's

  template <class V>
  void visit(V&& v) {
    v("expression", expression);
    v("dtype", dtype);
  }
  static void infer(InferContext& context);
  static OpDef def();
};

}  // namespace tenon::ops
