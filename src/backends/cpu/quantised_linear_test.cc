// Shapes that cross the blocks of the int8 kernels: of inputs, of rows, of panels. Formats and
// forms are the conformance suite's.
#include "ops/quantised_linear.h"

#include <gtest/gtest.h>

#include <bit>
#include <map>

#include "backends/cpu/test_kernels.h"
#include "base/error.h"
#include "tensor/formats/quantised_weight.h"

namespace tenon::cpu {
namespace {

struct QuantShape {
  int64_t m, n, k, group;
  bool zeros;
  uint64_t digest;  // of y by `vpdpbusd`
};

class QuantisedBlocks : public testing::TestWithParam<QuantShape> {};

using Results = std::map<std::string, std::vector<float>>;

// Numbers that are the same with every standard library: a normal distribution's are not.
Tensor make_even(const Extents& extents, uint32_t seed, float most) {
  Tensor values = Tensor::make(DType::F32, extents);
  std::mt19937 random(seed);
  for (int64_t i = 0; i < values.count(); ++i) {
    int32_t whole = static_cast<int32_t>(random() >> 8) - (1 << 23);
    values.as<float>()[i] = static_cast<float>(whole) * 0x1p-23f * most;
  }
  return values;
}

Results results_of(const QuantShape& shape) {
  DType codes = shape.group ? DType::U4 : DType::U8;
  ops::QuantisedLinear op{shape.n, shape.k, shape.group, "i8", "", "f32"};
  QuantSpec spec = op.spec(codes, shape.group ? DType::F16 : DType::F32, shape.zeros);
  OwnedQuantisedWeight weight = round_to_nearest(make_even({shape.n, shape.k}, 3, 0.05f), spec);
  Tensor x = make_even({shape.m, shape.k}, 4, 2);
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

uint64_t digest_of(const std::vector<float>& values) {
  uint64_t digest = 0xCBF29CE484222325u;  // FNV-1a
  for (float value : values) {
    digest = (digest ^ std::bit_cast<uint32_t>(value)) * 0x100000001B3u;
  }
  return digest;
}

// Sums of codes are exact, and all but AVX2 add the sums of groups in one order: `vpdpbusd`, AMX,
// and on Arm smmla, sdot and neither.
TEST_P(QuantisedBlocks, EveryCpuGivesTheSameBits) {
  int compared = 0;
  for (const auto& [name, values] : results_of(GetParam())) {
    if (name == "quantised_linear__i8__avx2") continue;
    EXPECT_EQ(digest_of(values), GetParam().digest) << name;
    ++compared;
  }
  if (compared == 0) GTEST_SKIP() << "skip this CPU has neither vpdpbusd nor Neon";
}

// AVX2 cuts rows elsewhere, so parts of a sum may be added in another order.
TEST_P(QuantisedBlocks, AllImplementationsAgree) {
  Results results = results_of(GetParam());
  if (results.empty()) GTEST_SKIP() << "skip no kernel runs on this CPU";
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

INSTANTIATE_TEST_SUITE_P(All, QuantisedBlocks,
                         testing::Values(QuantShape{1, 64, 2080, 0, false, 0x3F475F0579489D2Au},
                                         QuantShape{9, 65, 1056, 0, true, 0x5D7C36523D092AB5u},
                                         QuantShape{17, 33, 32, 0, false, 0x64BC96EA8039F204u},
                                         QuantShape{33, 40, 3104, 0, false, 0xEC59E8F2571F1F18u},
                                         QuantShape{64, 64, 2048, 0, true, 0x6226BDE5BCDBBF60u},
                                         QuantShape{100, 130, 96, 32, false, 0x78059C14F651E912u},
                                         QuantShape{12, 64, 1120, 32, true, 0xCF8CA065974722F6u},
                                         QuantShape{31, 70, 2112, 64, false, 0xDF2C75B2BAEACE6Eu},
                                         QuantShape{48, 64, 2240, 128, true, 0xFF5885B62B6FE585u},
                                         QuantShape{530, 64, 1056, 32, false, 0xDA333697CFC631CDu},
                                         QuantShape{47, 33, 1440, 0, true, 0x9665C8403DB3F24Cu},
                                         QuantShape{65, 31, 1408, 0, false, 0x8D47BF2465F71952u},
                                         QuantShape{292, 40, 4128, 0, true, 0xFC31F469285ABBE8u},
                                         QuantShape{16, 96, 3072, 0, false, 0x1E062D93236CBD31u},
                                         QuantShape{9, 20, 2080, 32, true, 0xCA4197AA8F80B80Eu},
                                         QuantShape{33, 65, 1056, 32, false, 0x038C33C51D65F97Du},
                                         QuantShape{600, 34, 3200, 64, true, 0xB701FD525E840FF4u},
                                         QuantShape{140, 33, 1152, 128, false,
                                                    0x39998A5D29681B0Cu}));

// What stands behind a sum (bias, activation, residual, rounding), in blocks of rows and columns
// that are cut, and where y is so large that it goes past the caches.
TEST(QuantisedResults, EveryCpuFinishesWithTheSameBits) {
  struct Form {
    int64_t m, n, k, group;
    DType y;
    const char* activation;
    bool added;
  };
  int compared = 0;
  for (const Form& f : {Form{37, 70, 160, 0, DType::F32, "silu", true},
                        Form{37, 70, 160, 32, DType::BF16, "gelu_tanh", true},
                        Form{70, 33, 2176, 64, DType::F16, "", true},
                        Form{20, 15, 96, 0, DType::F16, "relu", false},
                        Form{1030, 1024, 64, 0, DType::F32, "", true},
                        Form{1040, 1056, 64, 32, DType::F32, "silu", false},
                        Form{1100, 2048, 64, 0, DType::BF16, "", true},
                        Form{1100, 2048, 64, 64, DType::F16, "", false}}) {
    ops::QuantisedLinear op{f.n, f.k, f.group, "i8", f.activation, std::string(dtype_name(f.y))};
    QuantSpec spec = op.spec(f.group ? DType::U4 : DType::U8, DType::F32, true);
    OwnedQuantisedWeight weight = round_to_nearest(make_even({f.n, f.k}, 3, 0.05f), spec);
    Tensor x = make_even({f.m, f.k}, 4, 2), bias = make_even({f.n}, 5, 1);
    Tensor residual = make_random(f.y, {f.m, f.n}, 6), y = Tensor::make(f.y, {f.m, f.n});
    std::map<std::string, std::vector<std::byte>> results;
    auto* bytes = static_cast<std::byte*>(y.view().data);
    run_all("quantised_linear", ops::to_attributes(op),
            {x, weight.codes, weight.scales, weight.zeros, f.added ? bias.view() : TensorView(),
             f.added ? residual.view() : TensorView()},
            {y}, [&](const std::string& name) {
              if (name != "quantised_linear__i8__avx2")
                results[name].assign(bytes, bytes + y.view().bytes());
              std::fill_n(bytes, y.view().bytes(), std::byte{0xFF});
            });
    for (const auto& [name, result] : results) {
      EXPECT_TRUE(result == results.begin()->second)
          << name << " and " << results.begin()->first << ", " << f.m << " x " << f.n;
      ++compared;
    }
  }
  if (compared == 0) GTEST_SKIP() << "skip no kernel but AVX2's runs on this CPU";
}

// One or two rows go through several panels side by side, three through one after the other.
TEST(QuantisedStreams, RowsHaveTheBitsOfThree) {
  int compared = 0;
  for (int64_t n : {33, 128, 420, 1300}) {
    for (QuantShape shape :
         {QuantShape{3, n, 2112, 32, false, 0}, QuantShape{3, n, 4160, 64, true, 0},
          QuantShape{3, n, 4128, 0, true, 0}, QuantShape{3, n, 96, 0, false, 0}}) {
      Results three = results_of(shape);
      for (shape.m = 1; shape.m < 3; ++shape.m) {
        for (const auto& [name, values] : results_of(shape)) {
          ASSERT_EQ(values.size(), shape.m * n);
          for (size_t i = 0; i < values.size(); ++i) {
            ASSERT_EQ(values[i], three[name][i]) << name << ", " << shape.m << " rows of "
                                                 << shape.k << " with " << n << ", at " << i;
          }
          ++compared;
        }
      }
    }
  }
  if (compared == 0) GTEST_SKIP() << "skip no kernel runs on this CPU";
}

TEST(IsaLimit, NamesAndNothingElse) {
  EXPECT_FALSE(isa_limit(""));
  EXPECT_THROW(isa_limit("sse2"), Error);
  EXPECT_EQ(isa_limit(named_isas().front().name), named_isas().front().isa);
#if defined(__x86_64__)
  EXPECT_EQ(isa_limit("amx"), Isa::Amx);
  EXPECT_GE(*isa_limit("avx512"), Isa::Avx512Bf16);
  EXPECT_LT(*isa_limit("avx512"), Isa::Amx);
  EXPECT_THROW(isa_limit("neon"), Error);
#elif defined(__aarch64__)
  EXPECT_EQ(isa_limit("dotprod"), Isa::Dotprod);
  EXPECT_EQ(isa_limit("i8mm"), Isa::I8mm);
  EXPECT_THROW(isa_limit("avx2"), Error);
#endif
}

TEST(CpuSupports, NothingOfAnotherArchitecture) {
#if defined(__x86_64__)
  EXPECT_FALSE(cpu_supports(Isa::Neon).ok);
#elif defined(__aarch64__)
  EXPECT_FALSE(cpu_supports(Isa::Amx).ok);
  EXPECT_TRUE(cpu_supports(Isa::Neon).ok);
#endif
}

}  // namespace
}  // namespace tenon::cpu
