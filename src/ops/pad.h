#pragma once

#include <vector>

#include "ops/op.h"

namespace tenon::ops {

// `before[i]` and `after[i]` elements of `value` around x on axis i.
struct Pad {
  static constexpr std::string_view kName = "pad";
  std::vector<int64_t> before, after;
  double value = 0.0;

  template <class V>
  void visit(V&& v) {
    v("before", before);
    v("after", after);
    v("value", value);
  }
  static void infer(InferContext& context);
  static OpDef def() {
    return define_op<Pad>({{"x"}}, {{"y"}}, "y = x with before and after elements of value around");
  }
};

}  // namespace tenon::ops
