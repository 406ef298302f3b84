#include "pipelines/llm/counter_random.h"

#include <gtest/gtest.h>

#include <cmath>

namespace tenon::llm {
namespace {

// The known answers of Random123's kat_vectors.
TEST(Philox, KnownAnswers) {
  using Words = std::array<uint32_t, 4>;
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  uint32_t f = 0xffffffff;
  EXPECT_EQ(philox({f, f, f, f}, {f, f}), (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(UniformDraw, DependsOnSeedAndIndexOnlyAndIsUniform) {
  EXPECT_EQ(uniform_draw(7, 3), uniform_draw(7, 3));
  EXPECT_NE(uniform_draw(7, 3), uniform_draw(7, 4));
  EXPECT_NE(uniform_draw(7, 3), uniform_draw(8, 3));
  EXPECT_NE(uniform_draw(7, 3), uniform_draw(7 + (uint64_t{1} << 32), 3));
  constexpr int kDraws = 20000, kBins = 20;
  int counts[kBins] = {};
  for (int i = 0; i < kDraws; ++i) {
    float draw = uniform_draw(1, i);
    ASSERT_TRUE(draw >= 0 && draw < 1);
    ++counts[static_cast<int>(draw * kBins)];
  }
  // Six standard deviations of a binomial count.
  double expected = double{kDraws} / kBins, deviation = std::sqrt(expected * (1 - 1.0 / kBins));
  for (int count : counts) EXPECT_NEAR(count, expected, 6 * deviation);
}

}  // namespace
}  // namespace tenon::llm
