#include "runtime/nonfinite.h"

#include <gtest/gtest.h>

#include <cmath>

namespace tenon::runtime {
namespace {

TEST(NonFinite, CountsByKind) {
  std::vector<float> values = {1, NAN, INFINITY, -INFINITY, 0, -NAN};
  Tensor f32 = Tensor::make_from<float>(DType::F32, {2, 3}, values);
  NonFiniteCount count = count_nonfinite(f32.view());
  EXPECT_EQ(count.nans, 2);
  EXPECT_EQ(count.infinities, 2);
  Tensor half = Tensor::make(DType::F16, {2, 3});
  copy_convert(f32.view(), half.view());
  EXPECT_EQ(count_nonfinite(half.view()).infinities, 2);
}

TEST(NonFinite, OtherTypesAndNothingHaveNone) {
  Tensor ints = Tensor::make_zeros(DType::I32, {4});
  EXPECT_FALSE(count_nonfinite(ints.view()).any());
  EXPECT_FALSE(count_nonfinite(Tensor::make_zeros(DType::F32, {0, 3}).view()).any());
  EXPECT_FALSE(count_nonfinite(Tensor::make_zeros(DType::BF16, {3}).view()).any());
}

}  // namespace
}  // namespace tenon::runtime
