#pragma once

#include <iterator>
#include <string>

#include "ops/kinds.h"
#include "ops/op.h"

namespace tenon::ops {

// y = kind(x[..., :d]) * x[..., d:]: the gate comes first. x [..., 2 d] -> y [..., d].
struct Glu {
  static constexpr std::string_view kName = "glu";
  std::string kind = "silu";
  std::string dtype;  // of y; "" means x's

  template <class V>
  void visit(V&& v) {
    v("kind", kind);
    v("dtype", dtype);
  }
  static void infer(InferContext& context);
  static OpDef def() {
    return define_op<Glu>({{"x"}}, {{"y"}}, "y = kind(first half of x) * second half of x");
  }
};

}  // namespace tenon::ops
