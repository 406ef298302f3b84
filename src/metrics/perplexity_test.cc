#include "metrics/perplexity.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/error.h"

namespace tenon::metrics {
namespace {

TEST(Perplexity, OfAUniformRowIsTheVocabulary) {
  PerplexityAccumulator perplexity;
  std::vector<float> row(50, 3.5f);
  for (int64_t target : {0, 7, 49}) perplexity.add_row(row, target);
  PerplexityStats stats = perplexity.finish();
  EXPECT_EQ(stats.rows, 3);
  EXPECT_NEAR(stats.perplexity, 50, 1e-9);
  EXPECT_NEAR(stats.bits_per_token, std::log2(50), 1e-12);
}

TEST(Perplexity, HandWorkedRow) {
  // softmax of (0, ln 3) is (1/4, 3/4).
  std::vector<float> row = {0, static_cast<float>(std::log(3.0))};
  EXPECT_NEAR(negative_log_likelihood(row, 0), std::log(4), 1e-7);
  EXPECT_NEAR(negative_log_likelihood(row, 1), std::log(4.0 / 3), 1e-7);
}

TEST(Perplexity, BrokenRowsAndTargets) {
  std::vector<float> row = {0, std::numeric_limits<float>::quiet_NaN()};
  EXPECT_TRUE(std::isinf(negative_log_likelihood(row, 0)));
  EXPECT_THROW(negative_log_likelihood(row, 2), Error);
  EXPECT_THROW(negative_log_likelihood(row, -1), Error);
  EXPECT_TRUE(std::isinf(PerplexityAccumulator().finish().perplexity));
}

}  // namespace
}  // namespace tenon::metrics
