#pragma once

#include "ops/op.h"

namespace tenon::ops {

// A picture as an encoder takes it: resized by weights in fixed point, normalised, padded.
// x u8 [h, w, 3]; taps_y i32 [height, 1 + most] and taps_x i32 [width, 1 + most]: the first row or
// column of x that makes a row or column of the result, and weights of 2^-22 from there on, 0 where
// fewer count; where the first is below 0 there is no picture; mean and deviation f32 [3].
// row[i, x, c] = clip(sum over j of taps_x[x].weight[j] * x[i, first_x + j, c])
// z[y, x, c] = clip(sum over j of taps_y[y].weight[j] * row[first_y + j, x, c])
// y f32 [height, width, 3] = (z - mean) / deviation, 0 where there is no picture. clip rounds to
// the nearest of 0 to 255, halves up; sums are 32-bit.
// Source: python-pillow/Pillow src/libImaging/Resample.c.
struct ImagePrep {
  static constexpr std::string_view kName = "image_prep";
  static constexpr int kBits = 22;

  template <class V>
  void visit(V&&) {}
  static void infer(InferContext& context);
  static OpDef def() {
    return define_op<ImagePrep>({{"x"}, {"taps_y"}, {"taps_x"}, {"mean"}, {"deviation"}}, {{"y"}},
                                "y = (resized x - mean) / deviation, padded with zeros");
  }
};

}  // namespace tenon::ops
