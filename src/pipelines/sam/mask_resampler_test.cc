#include "pipelines/sam/mask_resampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace tenon::sam {
namespace {

SamInfo info_of(int64_t mask, int64_t image) {
  SamInfo info;
  info.mask_size = mask, info.image_size = image;
  return info;
}

std::vector<float> waves(int64_t side) {
  std::vector<float> values(static_cast<size_t>(side * side));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(std::sin(0.7 * static_cast<double>(i)) + 0.1 * (i % 5));
  return values;
}

// The definition, in double: one bilinear after another.
std::vector<double> bilinear(const std::vector<double>& in, Size from, Size to) {
  std::vector<double> out(static_cast<size_t>(to.width * to.height));
  auto place = [](int64_t at, int64_t n, int64_t m) {
    return std::clamp(
        (static_cast<double>(at) + 0.5) * static_cast<double>(n) / static_cast<double>(m) - 0.5,
        0.0, static_cast<double>(n - 1));
  };
  for (int64_t y = 0; y < to.height; ++y) {
    for (int64_t x = 0; x < to.width; ++x) {
      double u = place(x, from.width, to.width), v = place(y, from.height, to.height);
      auto u0 = static_cast<int64_t>(u), v0 = static_cast<int64_t>(v);
      int64_t u1 = std::min(u0 + 1, from.width - 1), v1 = std::min(v0 + 1, from.height - 1);
      double a = u - static_cast<double>(u0), b = v - static_cast<double>(v0);
      auto at = [&](int64_t i, int64_t j) { return in[j * from.width + i]; };
      out[y * to.width + x] = (1 - b) * ((1 - a) * at(u0, v0) + a * at(u1, v0)) +
                              b * ((1 - a) * at(u0, v1) + a * at(u1, v1));
    }
  }
  return out;
}

class Resampler : public ::testing::TestWithParam<Size> {};

TEST_P(Resampler, IsTwoBilinearsWithACropBetween) {
  const int64_t mask = 24, square = 96;
  std::vector<float> logits = waves(mask);
  Size fitted = fitted_size(GetParam(), square);
  std::vector<double> large =
      bilinear({logits.begin(), logits.end()}, {mask, mask}, {square, square});
  std::vector<double> cut;
  for (int64_t y = 0; y < fitted.height; ++y)
    cut.insert(cut.end(), large.begin() + y * square, large.begin() + y * square + fitted.width);
  std::vector<double> wanted = bilinear(cut, fitted, GetParam());
  MaskResampler resampler(info_of(mask, square), GetParam());
  std::vector<float> got = resampler.resample(logits.data());
  ASSERT_EQ(got.size(), wanted.size());
  for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], wanted[i], 2e-5) << i;
}
INSTANTIATE_TEST_SUITE_P(Sizes, Resampler,
                         ::testing::Values(Size{96, 96}, Size{150, 100}, Size{31, 77}, Size{1, 1},
                                           Size{300, 2}, Size{24, 24}));

TEST(Stability, CountsBothThresholds) {
  MaskResampler resampler(info_of(4, 4), {4, 4});
  float logits[16] = {3, 1.5f, 0.5f, -0.5f, -3};
  std::fill(logits + 5, logits + 16, -9.0f);
  StableMask stable = measure_stability(resampler, logits, 0, 1);
  EXPECT_EQ(stable.certain, 2);
  EXPECT_EQ(stable.possible, 4);
  EXPECT_EQ(stable.stability(), 0.5f);
  EXPECT_EQ(imaging::area(stable.mask), 3);
  EXPECT_EQ(stable.mask.pixels, resampler.threshold(logits, 0).pixels);
  EXPECT_TRUE(std::isnan(measure_stability(resampler, logits, 50, 1).stability()));
}

}  // namespace
}  // namespace tenon::sam
