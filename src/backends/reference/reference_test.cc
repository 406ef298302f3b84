#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "backends/reference/access.h"
#include "backends/reference/impl_list.h"
#include "backends/reference/paged_cache.h"
#include "ops/op_list.h"

// What every op of the reference stands on. The ops themselves: tests/conformance.
namespace tenon::reference {
namespace {

double stored(DType dtype, double value) {
  Tensor cell = Tensor::make(dtype, {1});
  store(cell, 0, value);
  return load(cell, 0);
}

TEST(Reference, StoreRoundsOnce) {
  // Just above the middle of 1 and 1 + 2^-7: rounding to float first would make it the middle, and
  // the tie would go to 1.
  EXPECT_EQ(stored(DType::BF16, 1 + 0x1p-8 + 0x1p-40), 1 + 0x1p-7);
  EXPECT_EQ(stored(DType::BF16, 1 + 0x1p-8), 1);
  EXPECT_EQ(stored(DType::BF16, 1 + 3 * 0x1p-8), 1 + 0x1p-6);
  EXPECT_EQ(stored(DType::BF16, -1 - 0x1p-8 - 0x1p-40), -1 - 0x1p-7);
  EXPECT_EQ(stored(DType::F16, 1 + 0x1p-11 + 0x1p-40), 1 + 0x1p-10);
  EXPECT_EQ(stored(DType::F16, 1 + 3 * 0x1p-11 - 0x1p-40), 1 + 0x1p-10);
  EXPECT_EQ(stored(DType::F16, 65519.999999), 65504);
  EXPECT_TRUE(std::isinf(stored(DType::F16, 65520)));
  EXPECT_EQ(stored(DType::F32, 0.1), 0.1f);
  EXPECT_EQ(stored(DType::F64, 0.1), 0.1);
  EXPECT_TRUE(std::isnan(stored(DType::F16, std::nan(""))));
  EXPECT_TRUE(std::isinf(stored(DType::BF16, HUGE_VAL)));
}

TEST(Reference, RowsFollowStrides) {
  const float values[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  TensorView view(values, DType::F32, {2, 2, 3});
  const int64_t axes[] = {1, 0, 2}, turned[] = {2, 1, 0};
  EXPECT_EQ(Rows(view.permuted(axes)).get_row(1), (std::vector<double>{6, 7, 8}));
  EXPECT_EQ(Rows(view.permuted(turned)).get_row(1), (std::vector<double>{3, 9}));
  EXPECT_EQ(Rows(view.slice(2, 1, 3)).get_row(3), (std::vector<double>{10, 11}));
}

TEST(Reference, TokensFollowTheRaggedOffsets) {
  // The second sequence brings nothing; the third continues at position 4.
  const int32_t offsets[] = {0, 2, 2, 3}, lengths[] = {2, 9, 5};
  std::vector<std::vector<int64_t>> seen;
  for_each_token(TensorView(offsets, DType::I32, {4}), TensorView(lengths, DType::I32, {3}),
                 [&](int64_t t, int64_t seq, int64_t position) {
                   seen.push_back({t, seq, position});
                 });
  EXPECT_EQ(seen, (std::vector<std::vector<int64_t>>{{0, 0, 0}, {1, 0, 1}, {2, 2, 4}}));
}

TEST(Reference, HasEveryOpOnceAndSaysWhyNot) {
  std::set<std::string_view> ops;
  for (const ops::Implementation* implementation : implementations()) {
    EXPECT_TRUE(ops.insert(implementation->op).second) << implementation->op;
  }
  for (const ops::OpDef& op : ops::builtin_catalogue().ops()) {
    EXPECT_TRUE(ops.contains(op.name)) << op.name;
  }
  ops::OpDesc desc;
  desc.inputs = {{true, DType::F32, {2, 2}, nullptr}, {true, DType::I8, {2, 2}, nullptr}};
  desc.outputs = {{true, DType::F32, {2, 2}, nullptr}};
  EXPECT_EQ(kLinear.supports(desc).reason, "input 1 is i8");
  QuantSpec quant;
  desc.inputs[1] = {true, DType::F16, {2, 2}, &quant};
  EXPECT_EQ(kLinear.supports(desc).reason, "input 1 is quantised");
  desc.inputs[1].quant = nullptr;
  EXPECT_TRUE(kLinear.supports(desc).ok);
}

}  // namespace
}  // namespace tenon::reference
