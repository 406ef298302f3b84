#pragma once

#include <string>

#include "ops/op.h"

namespace tenon::ops {

// y = a . b for each index of the leading axes; sums in f32 at least.
// a [batch..., m, k]; b [batch..., k, n], or [batch..., n, k] with transpose_b -> y [batch..., m,
// n].
struct Matmul {
  static constexpr std::string_view kName = "matmul";
  bool transpose_b = false;
  std::string dtype = "";  // of y; "" means a's

  template <class V>
  void visit(V&& v) {
    v("transpose_b", transpose_b);
    v("dtype", dtype);
  }
  static void infer(InferContext& context);
  static OpDef def() {
    return define_op<Matmul>({{"a"}, {"b"}}, {{"y"}},
                             "y = a . b for each index of the leading axes");
  }
};

}  // namespace tenon::ops
