#pragma once

#include "ops/op.h"

namespace tenon::ops {

// The parts one after the other along `axis`. All have one dtype. A part whose extent on another
// axis is 1 is repeated there (one token row for every prompt).
struct Concat {
  static constexpr std::string_view kName = "concat";
  int64_t axis = 0;

  template <class V>
  void visit(V&& v) {
    v("axis", axis);
  }
  static void infer(InferContext& context);
  static OpDef def() {
    return define_op<Concat>({{"parts", PortKind::Variadic}}, {{"y"}},
                             "y = the parts one after the other along axis");
  }
};

}  // namespace tenon::ops
