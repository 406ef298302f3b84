#pragma once

#include <iterator>
#include <string>

#include "ops/kinds.h"
#include "ops/op.h"

namespace tenon::ops {

// y = kind(a, b), elementwise with NumPy broadcasting. Computed in f32.
struct Binary {
  static constexpr std::string_view kName = "binary";
  std::string kind = "add";
  std::string dtype;  // of y; "" means a's

  template <class V>
  void visit(V&& v) {
    v("kind", kind);
    v("dtype", dtype);
  }
  static void infer(InferContext& context);
  static OpDef def() {
    return define_op<Binary>({{"a"}, {"b"}}, {{"y"}}, "y = kind(a, b), broadcast");
  }
};

}  // namespace tenon::ops
