#include "metrics/kl_divergence.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/error.h"

namespace tenon::metrics {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

struct Row {
  std::vector<float> got, reference;
};
KldStats of(const std::vector<Row>& rows) {
  KldAccumulator kld;
  for (const Row& row : rows) kld.add_row(row.got, row.reference);
  return kld.finish();
}

float log_of(double p) {
  return static_cast<float>(std::log(p));
}

TEST(KlDivergence, MatchesHandWorkedRow) {
  // reference (1/2, 1/4, 1/4), got (1/4, 1/4, 1/2), each with its own offset.
  KldStats stats = of({{{log_of(0.25) + 3, log_of(0.25) + 3, log_of(0.5) + 3},
                        {log_of(0.5) - 7, log_of(0.25) - 7, log_of(0.25) - 7}}});
  EXPECT_NEAR(stats.mean, 0.5 * std::log(2) + 0.25 * std::log(0.5), 1e-6);
  EXPECT_EQ(stats.rows, 1);
  EXPECT_EQ(stats.decided_rows, 1);
  EXPECT_EQ(stats.same_top, 0);
}

TEST(KlDivergence, EqualRowsAreZeroAndLargeLogitsDoNotOverflow) {
  KldStats stats = of({{{1000, -1000, 3}, {1000, -1000, 3}}, {{5, 6, 7}, {5, 6, 7}}});
  EXPECT_EQ(stats.max, 0);
  EXPECT_EQ(stats.same_top, 1);
  EXPECT_NEAR(stats.reference_rms, std::sqrt((2e6 + 9 + 25 + 36 + 49) / 6), 1e-9);
}

TEST(KlDivergence, QuantilesAreNearestRank) {
  KldAccumulator kld;
  std::vector<float> reference = {0, 0};
  for (int i = 0; i < 100; ++i) {
    std::vector<float> got = {i == 99 ? 4.f : i == 98 ? 2.f : i >= 50 ? 1.f : 0.f, 0};
    kld.add_row(got, reference);
  }
  auto divergence = [](double x) { return std::log1p(std::exp(x)) - x / 2 - std::log(2); };
  KldStats stats = kld.finish();
  EXPECT_NEAR(stats.median, 0, 1e-12);
  EXPECT_NEAR(stats.p99, divergence(2), 1e-12);
  EXPECT_NEAR(stats.max, divergence(4), 1e-12);
}

TEST(KlDivergence, OnlyDecidedRowsCountForTheFirstPlace) {
  // RMS of the reference is 10, so a margin of 0.1 decides and 0.09 does not.
  float rms10 = 10.f;
  KldStats toss_up = of({{{9.9f, 10, -10}, {rms10, 9.95f, -10}}});
  EXPECT_EQ(toss_up.decided_rows, 0);
  EXPECT_EQ(toss_up.same_top, 1);
  EXPECT_EQ(toss_up.same_top_all, 0);
  KldStats decided = of({{{9.5f, 10, -10}, {rms10, 9.5f, -10}}, {{3, 1, 1}, {3, 1, 1}}});
  EXPECT_EQ(decided.decided_rows, 2);
  EXPECT_EQ(decided.same_top, 0.5);
  EXPECT_EQ(decided.same_top_all, 0.5);
  EXPECT_EQ(of({{{0, 0}, {0, 0}}}).decided_rows, 0);
}

TEST(KlDivergence, ANanIsInfinitelyFar) {
  for (const Row& row : {Row{{kNan, 1}, {1, 1}}, Row{{kInf, 1}, {3, 1}}, Row{{1, 1}, {kNan, 1}},
                         Row{{-kInf, -kInf}, {1, 1}}}) {
    KldStats stats = of({{{1, 2}, {1, 2}}, row});
    EXPECT_TRUE(std::isinf(stats.mean));
    EXPECT_EQ(stats.same_top, 0.5);
    EXPECT_EQ(stats.median, 0);
  }
}

TEST(KlDivergence, MaskedLogits) {
  EXPECT_EQ(of({{{1, -kInf}, {1, -kInf}}}).mean, 0);
  EXPECT_TRUE(std::isinf(of({{{1, -kInf}, {1, 1}}}).mean));
}

TEST(KlDivergence, NoRowsProveNothing) {
  EXPECT_TRUE(std::isinf(KldAccumulator().finish().mean));
  EXPECT_EQ(KldAccumulator().finish().same_top, 0);
  EXPECT_THROW(of({{{1}, {1, 2}}}), Error);
}

}  // namespace
}  // namespace tenon::metrics
