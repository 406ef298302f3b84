#include "backends/cpu/kernels/token_ranking.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "backends/cpu/test_kernels.h"

namespace tenon::cpu {
namespace {

std::vector<float> coarse_logits(int64_t vocab, uint32_t seed) {
  // On a grid, so that many are equal.
  std::vector<float> logits(vocab);
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 3);
  for (float& logit : logits) logit = std::round(normal(random) * 8) / 8;
  return logits;
}

std::vector<int32_t> sorted_ids(const std::vector<float>& logits) {
  std::vector<int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  std::stable_sort(ids.begin(), ids.end(), [&](int a, int b) { return logits[a] > logits[b]; });
  return ids;
}

TEST(TokenRanking, IsTheSortedOrderHoweverFarItIsAsked) {
  for (int64_t vocab : {1, 2, 63, 64, 129, 5000, 100000}) {
    std::vector<float> logits = coarse_logits(vocab, static_cast<uint32_t>(vocab));
    std::vector<int32_t> expected = sorted_ids(logits);
    std::vector<RankedToken> candidates(vocab);
    TokenRanking ranking(logits.data(), vocab, candidates.data());
    for (int64_t rank = 0; rank < std::min<int64_t>(vocab, 3000); ++rank) {
      ASSERT_EQ(ranking.at(rank).id, expected[rank]) << "vocab " << vocab << " rank " << rank;
    }
    TokenRanking far(logits.data(), vocab, candidates.data());
    EXPECT_EQ(far.at(vocab - 1).id, expected[vocab - 1]);
  }
}

TEST(TokenRanking, ManyEqualAndMinusInfinity) {
  std::vector<float> logits(4000, -std::numeric_limits<float>::infinity());
  logits[17] = 1;
  logits[3999] = 2;
  std::vector<RankedToken> candidates(logits.size());
  TokenRanking ranking(logits.data(), 4000, candidates.data());
  EXPECT_EQ(ranking.at(0).id, 3999);
  EXPECT_EQ(ranking.at(1).id, 17);
  EXPECT_EQ(ranking.at(2).id, 0);
  EXPECT_EQ(ranking.at(63).id, 62);
}

// The draw as ops/sample.h says it, on the whole sorted vocabulary.
int32_t plain_draw(const std::vector<float>& logits, const DrawParameters& p) {
  std::vector<int32_t> ids = sorted_ids(logits);
  if (p.top_k > 0) ids.resize(std::min<size_t>(ids.size(), p.top_k));
  std::vector<double> weights;
  for (int32_t id : ids) weights.push_back(std::exp((logits[id] - logits[ids[0]]) / p.temperature));
  double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  if (p.top_p < 1) {
    double reached = 0;
    size_t kept = 0;
    while (kept < ids.size() && (kept == 0 || reached < p.top_p * total))
      reached += weights[kept++];
    ids.resize(kept);
    total = reached;
  }
  double reached = 0;
  for (size_t i = 0; i < ids.size(); ++i) {
    reached += weights[i];
    if (reached > p.uniform * total) return ids[i];
  }
  return ids.back();
}

TEST(DrawToken, AgreesWithThePlainDraw) {
  std::vector<float> logits = coarse_logits(30000, 5);
  std::vector<RankedToken> candidates(logits.size());
  float largest = *std::max_element(logits.begin(), logits.end());
  for (const NamedRows& kernels : runnable_rows()) {
    for (int i = 0; i < 60; ++i) {
      DrawParameters p{.temperature = i % 3 == 0 ? 1.0 : 0.5 + 0.1 * (i % 7),
                       .top_p = i % 4 == 0 ? 1.0 : 0.3 + 0.01 * i,
                       .uniform = (i * 37 % 100) / 100.0 + 0.00123,
                       .top_k = i % 5 == 0 ? 0 : i * i};
      TokenRanking ranking(logits.data(), 30000, candidates.data());
      EXPECT_EQ(draw_token(ranking, logits.data(), largest, p, *kernels.rows),
                plain_draw(logits, p))
          << kernels.name << " case " << i;
    }
  }
}

TEST(IndexOfLargest, IsTheFirstAndSkipsNan) {
  for (const NamedRows& kernels : runnable_rows()) {
    std::vector<float> logits(5000, 0.0f);
    logits[2500] = logits[4000] = 3;
    logits[0] = logits[1024] = std::nanf("");
    EXPECT_EQ(index_of_largest(logits.data(), 5000, *kernels.rows), 2500);
    std::vector<float> none(10, -std::numeric_limits<float>::infinity());
    EXPECT_EQ(index_of_largest(none.data(), 10, *kernels.rows), 0);
  }
}

}  // namespace
}  // namespace tenon::cpu
