// Shapes that cross the blocks of the int8 kernels: of inputs, of rows, of panels. Formats and
// forms are the conformance suite's.
#include "ops/quantised_linear.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "backends/cpu/test_kernels.h"
#include "base/error.h"
#include "tensor/formats/quantised_weight.h"

namespace tenon::cpu {
namespace {

struct QuantShape {
  int64_t m, n, k, group;
  bool zeros;
};

class QuantisedBlocks : public testing::TestWithParam<QuantShape> {};

using Results = std::map<std::string, std::vector<float>>;

Results results_of(const QuantShape& shape) {
  DType codes = shape.group ? DType::U4 : DType::U8;
  ops::QuantisedLinear op{shape.n, shape.k, shape.group, "i8", "", "f32"};
  QuantSpec spec = op.spec(codes, shape.group ? DType::F16 : DType::F32, shape.zeros);
  OwnedQuantisedWeight weight =
      round_to_nearest(make_random(DType::F32, {shape.n, shape.k}, 3, 0.05f), spec);
  Tensor x = make_random(DType::F32, {shape.m, shape.k}, 4);
  Tensor y = Tensor::make(DType::F32, {shape.m, shape.n});
  TensorView zeros = shape.zeros ? weight.zeros.view() : TensorView();
  Results results;
  run_all("quantised_linear", ops::to_attributes(op),
          {x, weight.codes, weight.scales, zeros, {}, {}}, {y}, [&](const std::string& name) {
            results[name].assign(y.as<float>(), y.as<float>() + y.count());
            std::fill_n(y.as<float>(), y.count(), std::nanf(""));
          });
  return results;
}

// Sums of codes are exact, and both add the sums of groups in one order.
TEST_P(QuantisedBlocks, MatrixUnitGivesTheBitsOfVectors) {
  Results results = results_of(GetParam());
  auto amx = results.find("quantised_linear__i8__amx"),
       vnni = results.find("quantised_linear__i8__avx512vnni");
  if (amx == results.end()) GTEST_SKIP() << "skip " << cpu_supports(Isa::Amx).reason;
  ASSERT_NE(vnni, results.end());
  EXPECT_EQ(
      std::memcmp(amx->second.data(), vnni->second.data(), amx->second.size() * sizeof(float)), 0);
}

// AVX2 cuts rows elsewhere, so parts of a sum may be added in another order.
TEST_P(QuantisedBlocks, AllImplementationsAgree) {
  Results results = results_of(GetParam());
  if (results.empty()) GTEST_SKIP() << "skip " << cpu_supports(Isa::Avx2).reason;
  const auto& [first_name, first] = *results.begin();
  double largest = 0;
  for (float value : first) largest = std::max<double>(largest, std::fabs(value));
  for (const auto& [name, values] : results) {
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_NEAR(values[i], first[i], 2e-6 * largest)
          << name << " and " << first_name << " at " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, QuantisedBlocks,
    testing::Values(QuantShape{1, 64, 2080, 0, false}, QuantShape{9, 65, 1056, 0, true},
                    QuantShape{17, 33, 32, 0, false}, QuantShape{33, 40, 3104, 0, false},
                    QuantShape{64, 64, 2048, 0, true}, QuantShape{100, 130, 96, 32, false},
                    QuantShape{12, 64, 1120, 32, true}, QuantShape{31, 70, 2112, 64, false},
                    QuantShape{48, 64, 2240, 128, true}, QuantShape{530, 64, 1056, 32, false}));

TEST(IsaLimit, NamesAndNothingElse) {
  EXPECT_FALSE(isa_limit(""));
  EXPECT_EQ(isa_limit("avx2"), Isa::Avx2);
  EXPECT_EQ(isa_limit("amx"), Isa::Amx);
  EXPECT_GE(*isa_limit("avx512"), Isa::Avx512Bf16);
  EXPECT_LT(*isa_limit("avx512"), Isa::Amx);
  EXPECT_THROW(isa_limit("sse2"), Error);
}

}  // namespace
}  // namespace tenon::cpu
