// The parts of attention on tiles of pairs, each on its own; attention as a whole is the
// conformance suite's.
#include <gtest/gtest.h>

#include <cmath>

#include "backends/cpu/test_kernels.h"

namespace tenon::cpu {
namespace {
#if defined(__x86_64__)

const PairAttentionKernels& kernels() {
  return amx::kPairAttention;
}

class PairAttention : public testing::Test {
 protected:
  void SetUp() override {
    if (!cpu_supports(Isa::Amx).ok) GTEST_SKIP() << "skip " << cpu_supports(Isa::Amx).reason;
  }
};

float float_of(uint16_t bf16) {
  return std::bit_cast<float>(static_cast<uint32_t>(bf16) << 16);
}
uint16_t bf16_of(float exact) {
  return static_cast<uint16_t>(std::bit_cast<uint32_t>(exact) >> 16);
}

TEST_F(PairAttention, AnF16IsTheSumOfTwoBf16) {
  std::vector<uint16_t> halves(65536), high(65536, 1), low(65536, 1);
  for (size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<uint16_t>(i);
  kernels().split_halves(halves.data(), 65536, high.data(), low.data());
  Tensor values = make_f32(TensorView(halves.data(), DType::F16, {65536}));
  for (int64_t i = 0; i < 65536; ++i) {
    float value = values.as<float>()[i];
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(float_of(high[i]))) << i;
      EXPECT_EQ(float_of(low[i]), 0) << i;
    } else {
      ASSERT_EQ(float_of(high[i]) + float_of(low[i]), value) << i;
    }
  }
  // Lanes beyond the last are neither read nor written.
  high.assign(20, 7), low.assign(20, 7);
  kernels().split_halves(halves.data() + 65536 - 17, 17, high.data(), low.data());
  EXPECT_EQ(high[17], 7);
  EXPECT_EQ(low[17], 7);
}

TEST_F(PairAttention, ProductsOfSeveralPanelsAddToWhatIsThere) {
  constexpr int64_t rows = 64, units = 48, panels = 3, a_pitch = 2 * units + 32, columns = 96;
  std::vector<uint16_t> a(rows * a_pitch, bf16_of(NAN)), b(panels * units * 32 * 2);
  auto a_at = [](int64_t row, int64_t k) { return static_cast<float>((row * 5 + k * 3) % 9 - 4); };
  auto b_at = [](int64_t k, int64_t column) {
    return static_cast<float>((column * 7 + k * 2) % 11 - 5);
  };
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t k = 0; k < 2 * units; ++k) a[row * a_pitch + k] = bf16_of(a_at(row, k));
  }
  for (int64_t k = 0; k < 2 * units; ++k) {
    for (int64_t column = 0; column < columns; ++column) {
      int64_t pair = (column / 32 * units + k / 2) * 32 + column % 32;
      b[2 * pair + k % 2] = bf16_of(b_at(k, column));
    }
  }
  std::vector<float> c(rows * columns, 3.0f);
  PairProduct product{.rows = rows,
                      .units = units,
                      .panels = panels,
                      .a = a.data(),
                      .a_pitch = 2 * a_pitch,
                      .b = b.data(),
                      .b_pitch = 128,
                      .b_panel = units * 128,
                      .c = c.data(),
                      .c_pitch = columns,
                      .accumulate = true};
  for (float before : {3.0f, 0.0f}) {
    kernels().multiply(product);
    for (int64_t i = 0; i < rows * columns; ++i) {
      float sum = before;
      for (int64_t k = 0; k < 2 * units; ++k) sum += a_at(i / columns, k) * b_at(k, i % columns);
      ASSERT_EQ(c[i], sum) << "row " << i / columns << ", column " << i % columns;
    }
    product.accumulate = false;
  }
}

TEST_F(PairAttention, PairsLieSideBySide) {
  for (int64_t n : {1, 16, 37}) {
    std::vector<uint16_t> even(n), odd(n);
    for (int64_t i = 0; i < n; ++i) even[i] = static_cast<uint16_t>(i + 1), odd[i] = 0x4000;
    std::vector<uint32_t> pairs(n + 1, 7);
    kernels().pair_rows(even.data(), odd.data(), n, pairs.data());
    for (int64_t i = 0; i < n; ++i) EXPECT_EQ(pairs[i], (0x4000u << 16) + i + 1);
    kernels().pair_rows(even.data(), nullptr, n, pairs.data());
    for (int64_t i = 0; i < n; ++i) EXPECT_EQ(pairs[i], i + 1u);
    EXPECT_EQ(pairs[n], 7u);
  }
}

TEST_F(PairAttention, ScoresAreScaledAndBiasedByRowAndColumn) {
  constexpr int64_t wide = 21, high = 3, count = wide * high;
  std::vector<float> scores(count + 1), before, by_row = {0.5f, -2.0f, 4.0f}, by_column(wide);
  for (int64_t i = 0; i <= count; ++i) scores[i] = static_cast<float>(i % 13) - 6;
  for (int64_t i = 0; i < wide; ++i) by_column[i] = 0.25f * static_cast<float>(i % 7);
  before = scores;
  float top =
      kernels().finish_scores(scores.data(), count, 2, by_row.data(), by_column.data(), wide);
  float largest = -INFINITY;
  for (int64_t i = 0; i < count; ++i) {
    float expected = 2 * before[i] + by_row[i / wide] + by_column[i % wide];
    ASSERT_EQ(scores[i], expected) << i;
    largest = std::max(largest, expected);
  }
  EXPECT_EQ(top, largest);
  EXPECT_EQ(scores[count], before[count]);
  scores = before;
  scores[5] = NAN;
  EXPECT_EQ(kernels().finish_scores(scores.data(), count, 3, nullptr, nullptr, 0), 18);
  EXPECT_EQ(scores[0], 3 * before[0]);
}

TEST_F(PairAttention, WeightsLoseLittleAsTwoNumbers) {
  for (int64_t count : {1, 15, 16, 31, 32, 50, 196}) {
    std::vector<float> scores(count);
    for (int64_t i = 0; i < count; ++i) scores[i] = -0.37f * static_cast<float>(i % 40);
    int64_t whole = (count + 31) / 32 * 32;
    std::vector<uint16_t> high(whole, 0x7FC0), low(whole, 0x7FC0);
    float sum = kernels().split_exp(scores.data(), count, 1, high.data(), low.data());
    double expected = 0;
    for (int64_t i = 0; i < whole; ++i) {
      double weight = i < count ? std::exp(double{scores[i]} - 1) : 0, got = float_of(high[i]);
      got += float_of(low[i]);
      ASSERT_NEAR(got, weight, (0x1p-16 + 0x1p-22) * weight) << i << " of " << count;
      expected += weight;
    }
    EXPECT_NEAR(sum, expected, 1e-6 * expected);
  }
}

TEST_F(PairAttention, NanStaysInTheSum) {
  std::vector<float> scores = {0, NAN, -1};
  uint16_t high[32], low[32];
  EXPECT_TRUE(std::isnan(kernels().split_exp(scores.data(), 3, 0, high, low)));
  EXPECT_TRUE(std::isnan(float_of(high[1])));
}

#endif
}  // namespace
}  // namespace tenon::cpu
