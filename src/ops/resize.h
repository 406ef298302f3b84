#pragma once

#include <string>

#include "ops/op.h"

namespace tenon::ops {

// Another size of a picture, channels last. kind "bilinear": sample positions at pixel centres
// ((i + 0.5) * h / height - 0.5, not below 0), no antialiasing: torch's interpolate with
// align_corners=False. x [n, h, w, c] -> y [n, height, width, c].
struct Resize {
  static constexpr std::string_view kName = "resize";
  std::string kind = "bilinear";
  std::string height, width;  // Dims: "256", "picture_h"

  template <class V>
  void visit(V&& v) {
    v("kind", kind);
    v("height", height);
    v("width", width);
  }
  static void infer(InferContext& context);
  static OpDef def() {
    return define_op<Resize>({{"x"}}, {{"y"}}, "y = x at another height and width");
  }
};

}  // namespace tenon::ops
