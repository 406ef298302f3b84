#pragma once

#include <string>
#include <vector>

#include "ops/op.h"

namespace tenon::ops {

// Convolution in two dimensions, channels last; sums in f32 at least. Rows and columns outside x
// count as zeros.
// x [n, h, w, in], weight [out, kh, kw, in / groups], bias [out] -> y [n, oh, ow, out], where
// oh = floor((h + pads[0] + pads[2] - dilations[0] * (kh - 1) - 1) / strides[0]) + 1.
struct Conv {
  static constexpr std::string_view kName = "conv";
  std::vector<int64_t> strides = {1, 1}, pads = {0, 0, 0, 0};  // top, left, bottom, right
  std::vector<int64_t> dilations = {1, 1};
  int64_t groups = 1;
  std::string activation = "";  // "" or a kind of `unary`
  std::string dtype = "";       // of y; "" means x's

  template <class V>
  void visit(V&& v) {
    v("strides", strides);
    v("pads", pads);
    v("dilations", dilations);
    v("groups", groups);
    v("activation", activation);
    v("dtype", dtype);
  }
  static void infer(InferContext& context);
  static OpDef def() {
    return define_op<Conv>({{"x"}, {"weight"}, {"bias", PortKind::Optional}}, {{"y"}},
                           "y = activation(x * weight + bias), a convolution, channels last");
  }
};

}  // namespace tenon::ops
