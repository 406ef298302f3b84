#pragma once

#include <string>
#include <vector>

#include "ops/op.h"

namespace tenon::ops {

// The elements of x in row-major order, under another shape with the same count.
struct Reshape {
  static constexpr std::string_view kName = "reshape";
  std::vector<std::string> shape;  // Dims: "64", "prompts", "(prompts * 4)"

  template <class V>
  void visit(V&& v) {
    v("shape", shape);
  }
  static void infer(InferContext& context);
  static OpDef def() {
    return define_op<Reshape>({{"x"}}, {{"y"}}, "y = the elements of x under another shape");
  }
};

}  // namespace tenon::ops
