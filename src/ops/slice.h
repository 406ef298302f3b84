#pragma once

#include "ops/op.h"

namespace tenon::ops {

// y = x[..., begin:end, ...] along `axis`.
struct Slice {
  static constexpr std::string_view kName = "slice";
  int64_t axis = 0, begin = 0, end = 0;

  template <class V>
  void visit(V&& v) {
    v("axis", axis);
    v("begin", begin);
    v("end", end);
  }
  static void infer(InferContext& context);
  static OpDef def() { return define_op<Slice>({{"x"}}, {{"y"}}, "y = x[begin:end] along axis"); }
};

}  // namespace tenon::ops
