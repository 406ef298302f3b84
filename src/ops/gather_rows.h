#pragma once

#include "ops/op.h"

namespace tenon::ops {

// y[i] = x[rows[i]]: picks rows. x [n, d], rows i32 [r] -> y [r, d]. A row outside [0, n) is an
// error the host must exclude.
struct GatherRows {
  static constexpr std::string_view kName = "gather_rows";

  template <class V>
  void visit(V&&) {}
  static void infer(InferContext& context) {
    context.need_rank(0, 2, "x");
    context.need_rank(1, 1, "rows");
    context.need_dtype(1, DType::I32, "rows");
    const ValueType& x = context.input(0);
    context.set_output(0, {x.dtype, {context.input(1).shape[0], x.shape[1]}, {}});
  }
  static OpDef def() {
    return define_op<GatherRows>({{"x"}, {"rows"}}, {{"y"}}, "y[i] = x[rows[i]]");
  }
};

}  // namespace tenon::ops
