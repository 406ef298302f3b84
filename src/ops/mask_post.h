#pragma once

#include "ops/op.h"

namespace tenon::ops {

// Small masks at the size of a picture, as bits, with what decides whether they are kept.
// masks f32 [planes, h, w]: logits, of which `chosen` i32 [chosen] names planes; taps_y f32 [words,
// 32, 4] and taps_x f32 [width, 4]: the first of three neighbours that make a row or column of the
// picture, and their weights; a row whose first is below 0 is behind the end; levels f32 [3]:
// threshold, certain, possible.
// value[y, x] = sum over i, j < 3 of taps_y[y].weight[i] * taps_x[x].weight[j] *
//               mask[first_y + i, first_x + j]
// -> bits i32 [chosen, width, words]: bit y % 32 of word y / 32 of column x is value > threshold;
// counts i32 [chosen, 6]: pixels above certain, pixels above possible, then left, top, right and
// bottom edge of the bits, inclusive; zeros where there are none.
struct MaskPost {
  static constexpr std::string_view kName = "mask_post";

  template <class V>
  void visit(V&&) {}
  static void infer(InferContext& context);
  static OpDef def() {
    return define_op<MaskPost>({{"masks"}, {"chosen"}, {"taps_y"}, {"taps_x"}, {"levels"}},
                               {{"bits"}, {"counts"}},
                               "bits = resampled masks above a threshold; counts of them");
  }
};

}  // namespace tenon::ops
