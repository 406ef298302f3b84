#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "conformance.h"
#include "ops/binary.h"
#include "ops/cast.h"
#include "ops/embedding.h"
#include "ops/gather_rows.h"
#include "ops/glu.h"
#include "ops/kv_cache.h"
#include "ops/layer_norm.h"
#include "ops/linear.h"
#include "ops/rms_norm.h"
#include "ops/rope.h"
#include "ops/slice.h"
#include "ops/unary.h"

// The reference against numbers worked out by hand or known in closed form: everything else is
// compared with the reference, so it must not be its own judge. (sample: sample_values_test.cc.)
namespace tenon::conformance {
namespace {

constexpr DType kF32 = DType::F32;

Operand f32(const Extents& extents, std::vector<double> values) {
  return floats(kF32, extents, values);
}

template <class... Operands>
Case make_case(ops::Attributes attributes, Operands... operands) {
  Case result{"by_hand", std::move(attributes), {}};
  (result.inputs.push_back(std::move(operands)), ...);
  return result;
}

void expect_values(const TensorView& view, const std::vector<double>& expected,
                   double tolerance = 1e-12) {
  std::vector<double> got = values_of(view);
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(got[i], expected[i], tolerance) << "element " << i;
}

// Output 0 in f64.
template <class Op>
std::vector<double> result_of(const Op& op, auto... operands) {
  Case test_case = make_case(ops::to_attributes(op), std::move(operands)...);
  return values_of(compute_exact(Op::kName, test_case).outputs[0].view());
}

void expect_near(const std::vector<double>& got, const std::vector<double>& expected,
                 double tolerance = 1e-12) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(got[i], expected[i], tolerance) << "element " << i;
}

TEST(ReferenceValues, Unary) {
  auto unary = [](const char* kind, double x) {
    return result_of(ops::Unary{kind, ""}, f32({1}, {x}))[0];
  };
  // x times the standard normal distribution function, from its tables: 0.8413..., 0.9772...
  EXPECT_NEAR(unary("gelu_erf", 1), 0.8413447460685429, 1e-15);
  EXPECT_NEAR(unary("gelu_erf", -1), -0.15865525393145707, 1e-15);
  EXPECT_NEAR(unary("gelu_erf", 2), 2 * 0.9772498680518208, 1e-15);
  // The value torch.nn.functional.gelu(1, approximate="tanh") prints: the kinds differ from 1.5e-4
  // on.
  EXPECT_NEAR(unary("gelu_tanh", 1), 0.8411919906082768, 1e-15);
  EXPECT_NEAR(unary("gelu_tanh", -1), -0.15880800939172324, 1e-15);
  // sigmoid(1.702) and sigmoid(ln 3) = 3/4.
  EXPECT_NEAR(unary("quick_gelu", 1), 0.8457957659328212, 1e-15);
  EXPECT_NEAR(unary("sigmoid", 0), 0.5, 0);
  EXPECT_NEAR(unary("silu", 1), 0.7310585786300049, 1e-15);
  EXPECT_NEAR(unary("silu", -1), -0.2689414213699951, 1e-15);
  EXPECT_NEAR(unary("tanh", 0.5), 0.46211715726000975, 1e-15);
  EXPECT_NEAR(unary("exp", 1), std::numbers::e, 1e-15);
  EXPECT_EQ(unary("relu", -2.5), 0);
  EXPECT_EQ(unary("relu", 2.5), 2.5);
  EXPECT_EQ(unary("neg", 2.5), -2.5);
  EXPECT_TRUE(std::isnan(unary("relu", std::nan(""))));
}

TEST(ReferenceValues, BinaryBroadcasts) {
  // [2, 1] against [3]: each row meets each column.
  auto table = [](const char* kind) {
    return result_of(ops::Binary{kind, ""}, f32({2, 1}, {10, 20}), f32({3}, {1, 2, 4}));
  };
  expect_near(table("add"), {11, 12, 14, 21, 22, 24});
  expect_near(table("sub"), {9, 8, 6, 19, 18, 16});
  expect_near(table("mul"), {10, 20, 40, 20, 40, 80});
  expect_near(table("div"), {10, 5, 2.5, 20, 10, 5});
}

TEST(ReferenceValues, GluTakesTheGateFirst) {
  expect_near(result_of(ops::Glu{"relu", ""}, f32({2, 4}, {-1, 2, 10, 20, 3, -4, 5, 6})),
              {0, 40, 15, 0});
}

TEST(ReferenceValues, Linear) {
  // (1, 2) . rows (1, 0), (3, -1), (-1, -1) = 1, 1, -3; + bias = 1.5, 1, -1; relu: 1.5, 1, 0; +
  // residual.
  expect_near(
      result_of(ops::Linear{"relu", ""}, f32({1, 2}, {1, 2}), f32({3, 2}, {1, 0, 3, -1, -1, -1}),
                f32({3}, {0.5, 0, 2}), f32({1, 3}, {10, 20, 30})),
      {11.5, 21, 30});
  // 1e8 + 1 - 1e8 needs more than f32.
  expect_near(result_of(ops::Linear{}, f32({1, 3}, {1e8, 1, -1e8}), f32({1, 3}, {1, 1, 1}),
                        absent(), absent()),
              {1});
}

TEST(ReferenceValues, RmsNorm) {
  // s = (3, 4): mean square 12.5; eps 3.5 makes the root 4.
  Case test_case = make_case(ops::to_attributes(ops::RmsNorm{3.5, ""}), f32({1, 2}, {1, 1}),
                             f32({2}, {2, 0.5}), f32({1, 2}, {2, 3}));
  test_case.output_count = 2;
  Exact exact = compute_exact("rms_norm", test_case);
  expect_values(exact.outputs[0], {1.5, 0.5});
  expect_values(exact.outputs[1], {3, 4});
}

TEST(ReferenceValues, LayerNorm) {
  // s = (1, 3): mean 2, biased variance 1; eps 3 makes the root 2.
  Case test_case = make_case(ops::to_attributes(ops::LayerNorm{3, ""}), f32({1, 2}, {0, 1}),
                             f32({2}, {2, 4}), f32({2}, {10, 20}), f32({1, 2}, {1, 2}));
  test_case.output_count = 2;
  Exact exact = compute_exact("layer_norm", test_case);
  expect_values(exact.outputs[0], {9, 22});
  expect_values(exact.outputs[1], {1, 3});
}

TEST(ReferenceValues, RopeTurnsByPositionTimesFrequency) {
  // 30 degrees a position. At position 2: 60 degrees, cos 1/2, sin sqrt(3)/2.
  double half_root_3 = std::sqrt(3.0) / 2;
  // Pairs (0, 2) and (1, 3); frequency 0 leaves the second pair; dim 4 passes.
  expect_near(result_of(ops::Rope{5, false, 1.0}, f32({1, 5}, {1, 7, 0, 8, 9}), ints({2}),
                        f32({2}, {std::numbers::pi / 6, 0})),
              {0.5, 7, half_root_3, 8, 9}, 1e-6);
  // Interleaved pairs (0, 1) and (2, 3): (1, 7) turned by 60 degrees, times 2; (0, 8) times 2.
  expect_near(result_of(ops::Rope{5, true, 2.0}, f32({1, 5}, {1, 7, 0, 8, 9}), ints({2}),
                        f32({2}, {std::numbers::pi / 6, 0})),
              {1 - 14 * half_root_3, 7 + 2 * half_root_3, 0, 16, 9}, 1e-5);
}

TEST(ReferenceValues, EmbeddingMixesTableAndGivenRows) {
  expect_near(result_of(ops::Embedding{}, ints({1, -2, 0, -1}), f32({2, 2}, {1, 2, 3, 4}),
                        f32({2, 2}, {50, 60, 70, 80})),
              {3, 4, 70, 80, 1, 2, 50, 60});
}

TEST(ReferenceValues, GatherRowsAndSlice) {
  expect_near(result_of(ops::GatherRows{}, f32({3, 2}, {1, 2, 3, 4, 5, 6}), ints({2, 0})),
              {5, 6, 1, 2});
  expect_near(result_of(ops::Slice{1, 1, 3}, f32({2, 3}, {1, 2, 3, 4, 5, 6})), {2, 3, 5, 6});
  expect_near(result_of(ops::Slice{0, 1, 2}, f32({2, 3}, {1, 2, 3, 4, 5, 6})), {4, 5, 6});
}

// Two sequences over blocks of two positions: the first owns blocks 3 and 1, the second block 0.
struct TinyCache {
  Operand seq_offsets = ints({0, 1, 2}), kv_lengths = ints({3, 1});
  Operand block_table = ints({2, 2}, std::vector<int32_t>{3, 1, 0, -1});
};

// In [4 blocks, K or V, 1 head, 2 rows, dims].
size_t cache_index(size_t block, size_t part, size_t row, size_t dims) {
  return ((block * 2 + part) * 2 + row) * dims;
}

TEST(ReferenceValues, KvAppendFindsTheBlock) {
  TinyCache tiny;
  Case test_case = make_case(ops::to_attributes(ops::KvAppend{1, 1}), f32({2, 1}, {5, 6}),
                             f32({2, 1}, {7, 8}), std::move(tiny.seq_offsets),
                             std::move(tiny.kv_lengths), std::move(tiny.block_table),
                             f32({4, 2, 1, 2, 1}, std::vector<double>(16, 0.0)).as_state());
  test_case.output_count = 0;
  std::vector<double> expected(16, 0.0);
  // Position 2 of the first sequence: block_table[0, 1] = 1, row 0. Position 0 of the second: block
  // 0.
  expected[cache_index(1, 0, 0, 1)] = 5;
  expected[cache_index(1, 1, 0, 1)] = 7;
  expected[cache_index(0, 0, 0, 1)] = 6;
  expected[cache_index(0, 1, 0, 1)] = 8;
  expect_values(compute_exact("kv_append", test_case).state_after, expected);
}

TEST(ReferenceValues, RopeKvAppendTurnsQAndKButNotV) {
  TinyCache tiny;
  // One head of two dims; a quarter turn a position: (a, b) -> (-b, a) at position 1.
  Case test_case = make_case(ops::to_attributes(ops::RopeKvAppend{1, 1, 2, false, 1.0}),
                             f32({2, 6}, {1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16}), ints({1, 0}),
                             f32({1}, {std::numbers::pi / 2}), std::move(tiny.seq_offsets),
                             std::move(tiny.kv_lengths), std::move(tiny.block_table),
                             f32({4, 2, 1, 2, 2}, std::vector<double>(32, 0.0)).as_state());
  Exact exact = compute_exact("rope_kv_append", test_case);
  expect_values(exact.outputs[0], {-2, 1, 11, 12}, 1e-6);
  std::vector<double> expected(32, 0.0);
  auto put = [&](size_t index, double a, double b) {
    expected[index] = a, expected[index + 1] = b;
  };
  put(cache_index(1, 0, 0, 2), -4, 3);
  put(cache_index(1, 1, 0, 2), 5, 6);
  put(cache_index(0, 0, 0, 2), 13, 14);
  put(cache_index(0, 1, 0, 2), 15, 16);
  expect_values(exact.state_after, expected, 1e-6);
}

// Attention of one token at position 2 over keys `k` and values `v` of one head of one dim.
double attend(ops::PagedAttention op, double q, const std::vector<double>& k,
              const std::vector<double>& v) {
  op.heads = op.kv_heads = op.head_dim = 1;
  std::vector<double> cache(k);
  cache.insert(cache.end(), v.begin(), v.end());
  auto size = std::ssize(k);
  return result_of(op, f32({1, 1}, {q}), ints({0, 1}), ints({3}),
                   ints({1, 1}, std::vector<int32_t>{0}),
                   f32({1, 2, 1, size, 1}, cache).as_state())[0];
}

TEST(ReferenceValues, PagedAttention) {
  double ln_3 = std::log(3.0);
  // Equal scores: the mean of what is visible; position 3 is not.
  EXPECT_NEAR(attend({}, 0, {1, 2, 3, 4}, {3, 6, 12, 1000}), 7, 1e-12);
  EXPECT_NEAR(attend({.window = 2}, 0, {1, 2, 3, 4}, {3, 6, 12, 1000}), 9, 1e-12);
  EXPECT_NEAR(attend({.window = 1}, 0, {1, 2, 3, 4}, {3, 6, 12, 1000}), 12, 1e-12);
  // Scores ln 3, 0, 0: weights 3/5, 1/5, 1/5. The scale is part of the score.
  EXPECT_NEAR(attend({.scale = ln_3}, 1, {1, 0, 0, 9}, {10, 20, 30, 1000}), 16, 1e-6);
  EXPECT_NEAR(attend({.scale = ln_3 / 2}, 2, {1, 0, 0, 9}, {10, 20, 30, 1000}), 16, 1e-6);
  // Cap 2 ln 3: the score (ln 3)^2 becomes 2 ln 3 tanh(ln 3 / 2) = ln 3, weights 3 : 1 : 1 again.
  EXPECT_NEAR(attend({.softcap = 2 * ln_3}, 1, {ln_3 * ln_3, 0, 0, 9}, {10, 20, 30, 1000}), 16,
              1e-6);
  // Scores +-1e6 capped at +-ln 3, and 0: weights 3 : 1/3 : 1.
  EXPECT_NEAR(attend({.softcap = ln_3}, 1, {1e6, -1e6, 0, 9}, {13, 39, 0, 1000}),
              (3 * 13 + 13) / (13.0 / 3), 1e-12);
}

TEST(ReferenceValues, QueryHeadsShareKvHeads) {
  // 4 query heads over 2 kv heads with one position: heads 0, 1 read the first, 2, 3 the second.
  ops::PagedAttention op{.heads = 4, .kv_heads = 2, .head_dim = 1};
  expect_near(result_of(op, f32({1, 4}, {1, 2, 3, 4}), ints({0, 1}), ints({1}),
                        ints({1, 1}, std::vector<int32_t>{0}),
                        f32({1, 2, 2, 1, 1}, {0.1, 0.2, 50, 60}).as_state()),
              {50, 50, 60, 60});
}

}  // namespace
}  // namespace tenon::conformance
