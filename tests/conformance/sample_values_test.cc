#include <gtest/gtest.h>

#include <cmath>

#include "conformance.h"
#include "ops/sample.h"

// `sample` of the reference against draws worked out by hand.
namespace tenon::conformance {
namespace {

struct Settings {
  double temperature = 1, top_p = 1, penalty = 1, uniform = 0.5;
  int32_t top_k = 0;
  std::vector<int32_t> history = {}, banned = {};
};

struct Drawn {
  int32_t id;
  double logprob;
};

Operand scalar(double value) {
  return floats(DType::F32, {1}, std::vector<double>{value});
}

Drawn draw(const std::vector<double>& logits, const Settings& settings) {
  Case test_case{"by_hand", ops::to_attributes(ops::Sample{}), {}};
  test_case.output_count = 2;
  auto add = [&](Operand operand) { test_case.inputs.push_back(std::move(operand)); };
  add(floats(DType::F32, {1, std::ssize(logits)}, logits));
  add(scalar(settings.temperature));
  add(ints({settings.top_k}));
  add(scalar(settings.top_p));
  add(scalar(settings.penalty));
  add(scalar(settings.uniform));
  add(ints(settings.history));
  add(ints({0, static_cast<int32_t>(settings.history.size())}));
  add(settings.banned.empty() ? absent() : ints({1, std::ssize(settings.banned)}, settings.banned));
  Exact exact = compute_exact("sample", test_case);
  return {exact.outputs[0].as<int32_t>()[0], exact.outputs[1].as<double>()[0]};
}

// Probabilities 0.2, 0.5, 0.3: the ranking is 1, 2, 0.
const std::vector<double> kLogits = {std::log(0.2), std::log(0.5), std::log(0.3)};

TEST(SampleValues, DrawWalksTheRanking) {
  EXPECT_EQ(draw(kLogits, {.uniform = 0.0}).id, 1);
  EXPECT_EQ(draw(kLogits, {.uniform = 0.49}).id, 1);
  EXPECT_EQ(draw(kLogits, {.uniform = 0.51}).id, 2);
  EXPECT_EQ(draw(kLogits, {.uniform = 0.79}).id, 2);
  EXPECT_EQ(draw(kLogits, {.uniform = 0.81}).id, 0);
  EXPECT_EQ(draw(kLogits, {.uniform = 1.0}).id, 0);
  EXPECT_NEAR(draw(kLogits, {.uniform = 0.81}).logprob, std::log(0.2), 1e-6);
}

TEST(SampleValues, TemperatureSquaresTheOdds) {
  // 0.25 : 0.09 : 0.04 of 0.38: borders 0.658 and 0.895.
  EXPECT_EQ(draw(kLogits, {.temperature = 0.5, .uniform = 0.65}).id, 1);
  EXPECT_EQ(draw(kLogits, {.temperature = 0.5, .uniform = 0.67}).id, 2);
  EXPECT_EQ(draw(kLogits, {.temperature = 0.5, .uniform = 0.89}).id, 2);
  EXPECT_EQ(draw(kLogits, {.temperature = 0.5, .uniform = 0.90}).id, 0);
  // The log probability is the one before any of this.
  EXPECT_NEAR(draw(kLogits, {.temperature = 0.5, .uniform = 0.65}).logprob, std::log(0.5), 1e-6);
}

TEST(SampleValues, TopKAndTopP) {
  // Two kept: 5/8 and 3/8.
  EXPECT_EQ(draw(kLogits, {.uniform = 0.62, .top_k = 2}).id, 1);
  EXPECT_EQ(draw(kLogits, {.uniform = 0.63, .top_k = 2}).id, 2);
  EXPECT_EQ(draw(kLogits, {.uniform = 0.99, .top_k = 2}).id, 2);
  EXPECT_EQ(draw(kLogits, {.uniform = 0.99, .top_k = 1}).id, 1);
  EXPECT_EQ(draw(kLogits, {.top_p = 0.45, .uniform = 0.99}).id, 1);
  EXPECT_EQ(draw(kLogits, {.top_p = 0.6, .uniform = 0.99}).id, 2);
  EXPECT_EQ(draw(kLogits, {.top_p = 0.9, .uniform = 0.99}).id, 0);
  EXPECT_EQ(draw(kLogits, {.top_p = 0.0, .uniform = 0.99}).id, 1);
  // Top-p counts after top-k: 5/8 alone reaches 0.6.
  EXPECT_EQ(draw(kLogits, {.top_p = 0.6, .uniform = 0.99, .top_k = 2}).id, 1);
}

TEST(SampleValues, TiesKeepTheLowestIds) {
  const std::vector<double> equal = {1, 3, 3, 3};
  EXPECT_EQ(draw(equal, {.temperature = 0}).id, 1);
  EXPECT_EQ(draw(equal, {.uniform = 0.99, .top_k = 2}).id, 2);
  EXPECT_EQ(draw(equal, {.uniform = 0.49, .top_k = 2}).id, 1);
  // Enough of them that an unstable sort would shuffle.
  EXPECT_EQ(draw(std::vector<double>(100, 0.5), {.uniform = 0.99, .top_k = 3}).id, 2);
}

TEST(SampleValues, PenaltyAppliesOnceAndBySign) {
  // Every id of the history: 2 and 1.8 become 1 and 0.9.
  EXPECT_EQ(draw({2, 1.8, 1.5}, {.temperature = 0, .penalty = 2, .history = {0, 1}}).id, 2);
  // 2 / 2 = 1, -1 * 2 = -2, 1.5 stays: the largest is now id 2.
  EXPECT_EQ(draw({2, -1, 1.5}, {.temperature = 0, .penalty = 2, .history = {0, 1, 0}}).id, 2);
  // Were the penalty applied twice, 3 would fall under 1: it falls to 1.5 only.
  EXPECT_EQ(draw({3, 1}, {.temperature = 0, .penalty = 2, .history = {0, 0}}).id, 0);
  // Negative logits: -1 * 2 = -2 is below -1.5.
  EXPECT_EQ(draw({-1, -1.5}, {.temperature = 0, .penalty = 2, .history = {0}}).id, 1);
  // A given embedding in the history is no token.
  EXPECT_EQ(draw({2, 1.5}, {.temperature = 0, .penalty = 2, .history = {-1}}).id, 0);
}

TEST(SampleValues, BannedTokensAreNeverDrawn) {
  // 0.3 and 0.2 remain: 3/5 and 2/5.
  EXPECT_EQ(draw(kLogits, {.uniform = 0.59, .banned = {1, -1}}).id, 2);
  EXPECT_EQ(draw(kLogits, {.uniform = 0.61, .banned = {1, -1}}).id, 0);
  EXPECT_EQ(draw(kLogits, {.uniform = 1.0, .banned = {1, 0}}).id, 2);
  EXPECT_EQ(draw(kLogits, {.temperature = 0, .banned = {1}}).id, 2);
  EXPECT_NEAR(draw(kLogits, {.temperature = 0, .banned = {1}}).logprob, std::log(0.3), 1e-6);
}

TEST(SampleValues, NanLogitsAreNotDrawnButShow) {
  Drawn drawn = draw({1, std::nan(""), 0}, {.temperature = 0});
  EXPECT_EQ(drawn.id, 0);
  EXPECT_TRUE(std::isnan(drawn.logprob));
}

}  // namespace
}  // namespace tenon::conformance
