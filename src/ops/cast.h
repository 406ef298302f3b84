#pragma once

#include <string>

#include "ops/op.h"

namespace tenon::ops {

// y = x rounded to `dtype` (nearest, ties to even).
struct Cast {
  static constexpr std::string_view kName = "cast";
  std::string dtype = "f32";

  template <class V>
  void visit(V&& v) {
    v("dtype", dtype);
  }
  static void infer(InferContext& context) {
    Cast op = read_attributes<Cast>(context.attributes());
    const ValueType& x = context.input(0);
    context.set_output(0, {dtype_attribute(op.dtype, x.dtype), x.shape, {}});
  }
  static OpDef def() { return define_op<Cast>({{"x"}}, {{"y"}}, "y = x rounded to dtype"); }
};

}  // namespace tenon::ops
