#include "metrics/error_stats.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/error.h"

namespace tenon::metrics {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

ErrorStats of(std::vector<float> got, std::vector<float> reference) {
  return compare(got, reference);
}

TEST(ErrorStats, MatchesHandWorkedFigures) {
  ErrorStats stats = of({1, 2, 3.5, -4}, {1, 2.5, 3, -5});
  double rms = std::sqrt((1 + 6.25 + 9 + 25) / 4.0);
  EXPECT_EQ(stats.count, 4);
  EXPECT_EQ(stats.nonfinite, 0);
  EXPECT_DOUBLE_EQ(stats.max_abs, 1);
  EXPECT_DOUBLE_EQ(stats.mean_abs, 0.5);
  EXPECT_DOUBLE_EQ(stats.median_abs, 0.5);
  EXPECT_DOUBLE_EQ(stats.p99_abs, 1);
  EXPECT_DOUBLE_EQ(stats.reference_rms, rms);
  EXPECT_DOUBLE_EQ(stats.max_rel, 1 / (5 + 1e-6 * rms));
  EXPECT_NEAR(stats.mean_rel, (0 + 0.2 + 0.5 / 3 + 0.2) / 4, 1e-6);
  EXPECT_NEAR(stats.median_rel, 0.5 / 3, 1e-6);
  EXPECT_NEAR(stats.p99_rel, 0.2, 1e-6);
  EXPECT_DOUBLE_EQ(stats.relative_norm, std::sqrt((0.25 + 0.25 + 1) / 41.25));
  EXPECT_EQ(stats.worst_index, 3);
}

TEST(ErrorStats, EqualTensorsHaveNoError) {
  ErrorStats stats = of({0, -0.f, kNan, kInf}, {0, 0, kNan, kInf});
  EXPECT_EQ(stats.max_abs, 0);
  EXPECT_EQ(stats.max_rel, 0);
  EXPECT_EQ(stats.relative_norm, 0);
  EXPECT_EQ(stats.nonfinite, 0);
  EXPECT_EQ(stats.worst_index, 0);
}

TEST(ErrorStats, ANonfiniteElementIsInfinitelyWrong) {
  for (float wrong : {kNan, kInf, -kInf}) {
    ErrorStats stats = of({1, wrong, 2}, {1, 1, 2});
    EXPECT_EQ(stats.nonfinite, 1);
    EXPECT_TRUE(std::isinf(stats.max_abs));
    EXPECT_TRUE(std::isinf(stats.max_rel));
    EXPECT_TRUE(std::isinf(stats.relative_norm));
    EXPECT_EQ(stats.worst_index, 1);
    EXPECT_EQ(stats.median_abs, 0);
  }
  EXPECT_EQ(of({kInf}, {-kInf}).nonfinite, 1);
  EXPECT_EQ(of({1}, {kNan}).nonfinite, 1);
}

TEST(ErrorStats, AZeroReferenceForgivesNothing) {
  ErrorStats stats = of({0, 1e-20f}, {0, 0});
  EXPECT_TRUE(std::isinf(stats.relative_norm));
  EXPECT_TRUE(std::isinf(stats.max_rel));
}

TEST(ErrorStats, SumsDoNotLoseSmallErrors) {
  std::vector<float> reference(1 << 20, 1000.f), got = reference;
  for (float& value : got) value += 0.0625f;
  EXPECT_DOUBLE_EQ(compare(got, reference).mean_abs, 0.0625);
}

TEST(ErrorStats, EmptyAndUnequalSizes) {
  EXPECT_EQ(of({}, {}).count, 0);
  EXPECT_EQ(of({}, {}).worst_index, -1);
  EXPECT_THROW(of({1}, {1, 2}), Error);
}

}  // namespace
}  // namespace tenon::metrics
