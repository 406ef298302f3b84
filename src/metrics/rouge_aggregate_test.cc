#include "metrics/rouge_aggregate.h"

#include <gtest/gtest.h>

#include <vector>

namespace tenon::metrics {
namespace {

RougeScores scored(double f) {
  RougeScore score{f, f, f};
  return {score, score, score, score};
}

TEST(RougeSummary, OfNothingAndOfOneText) {
  EXPECT_EQ(summarize_rouge({}).rouge1.high.f, 0);
  std::vector<RougeScores> one = {scored(0.25)};
  RougeSummary summary = summarize_rouge(one);
  for (const RougeBounds& bounds : {summary.rouge1, summary.rouge_l_sum}) {
    EXPECT_EQ(bounds.low.f, 0.25);
    EXPECT_EQ(bounds.mid.f, 0.25);
    EXPECT_EQ(bounds.high.f, 0.25);
  }
}

// numpy.random.seed(0); [numpy.random.choice(numpy.arange(5), size=5) ...] begins with
// 4 0 3 3 3 | 1 3 2 4 0: with texts that score their index over 10, the means are 0.26 and 0.2.
TEST(RougeSummary, DrawsAreNumPys) {
  std::vector<RougeScores> texts;
  for (int i = 0; i < 5; ++i) texts.push_back(scored(i / 10.0));
  EXPECT_NEAR(summarize_rouge(texts, {.samples = 1, .seed = 0}).rouge1.mid.f, 0.26, 1e-12);
  EXPECT_NEAR(summarize_rouge(texts, {.samples = 2, .confidence = 1}).rouge1.low.f, 0.2, 1e-12);
  EXPECT_NEAR(summarize_rouge(texts).mean.rouge2.f, 0.2, 1e-12);
}

TEST(RougeSummary, BoundsHoldTheMean) {
  std::vector<RougeScores> texts;
  for (int i = 0; i < 50; ++i) texts.push_back(scored(i % 2));
  RougeSummary summary = summarize_rouge(texts);
  EXPECT_LT(summary.rouge1.low.f, summary.rouge1.mid.f);
  EXPECT_LT(summary.rouge1.mid.f, summary.rouge1.high.f);
  EXPECT_NEAR(summary.rouge1.mid.f, 0.5, 0.02);
  // The standard error of the mean is 0.0707: the bounds lie near 1.96 of it.
  EXPECT_NEAR(summary.rouge1.high.f, 0.5 + 1.96 * 0.0707, 0.03);
}

}  // namespace
}  // namespace tenon::metrics
