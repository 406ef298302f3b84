#pragma once

#include <vector>

#include "ops/op.h"

namespace tenon::ops {

// Axis i of y is axis permutation[i] of x.
struct Transpose {
  static constexpr std::string_view kName = "transpose";
  std::vector<int64_t> permutation;

  template <class V>
  void visit(V&& v) {
    v("permutation", permutation);
  }
  static void infer(InferContext& context);
  static OpDef def() {
    return define_op<Transpose>({{"x"}}, {{"y"}}, "axis i of y = axis permutation[i] of x");
  }
};

}  // namespace tenon::ops
