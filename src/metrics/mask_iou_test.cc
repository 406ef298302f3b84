#include "metrics/mask_iou.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace tenon::metrics {
namespace {

TEST(MaskIou, CountsPixelsAboveTheThreshold) {
  const float got[] = {1, 1, -1, 0, NAN}, reference[] = {1, -1, 1, 0, 1};
  MaskOverlap overlap = mask_overlap(got, reference);
  EXPECT_EQ(overlap.both, 1);
  EXPECT_EQ(overlap.either, 4);
  EXPECT_DOUBLE_EQ(overlap.iou(), 0.25);
  EXPECT_EQ(mask_overlap(got, reference, -0.5f).both, 2);
}

TEST(MaskIou, TwoEmptyMasksAgree) {
  const float nothing[] = {-1, -2};
  EXPECT_EQ(mask_overlap(nothing, nothing).iou(), 1.0);
}

TEST(MaskIou, SizesMustAgree) {
  const float one[] = {1}, two[] = {1, 2};
  EXPECT_THROW(mask_overlap(one, two), Error);
}

}  // namespace
}  // namespace tenon::metrics
