// Shapes that cross the kernels' blocks: of k, of columns, of rows, the change from streaming to
// tiles, and many rows with a small weight. Types, forms and small odd shapes are the conformance
// suite's.
#include "ops/linear.h"

#include <gtest/gtest.h>

#include <map>

#include "backends/cpu/test_kernels.h"
#include "base/checked.h"

namespace tenon::cpu {
namespace {

struct LinearShape {
  int64_t m, n, k;
};

class LinearBlocks : public testing::TestWithParam<LinearShape> {};

// A sum of k products in f32 is off by at most k half ulps of the sum of magnitudes; vectors of
// partial sums make that far smaller. pairs of bf16 are exact products.
void expect_near(const std::vector<double>& x, const std::vector<double>& w,
                 const std::vector<double>& y, const LinearShape& shape, const std::string& name) {
  for (int64_t i = 0; i < shape.m; ++i) {
    for (int64_t j = 0; j < shape.n; ++j) {
      double sum = 0, magnitude = 0;
      for (int64_t k = 0; k < shape.k; ++k) {
        double product = x[i * shape.k + k] * w[j * shape.k + k];
        sum += product;
        magnitude += std::fabs(product);
      }
      double allowed = static_cast<double>(shape.k) / 16 * 6e-8 * magnitude + 1e-6;
      ASSERT_NEAR(y[i * shape.n + j], sum, allowed) << name << " at " << i << ", " << j;
    }
  }
}

TEST_P(LinearBlocks, EveryTypeOfWeight) {
  LinearShape shape = GetParam();
  ops::Attributes attributes = ops::to_attributes(ops::Linear{.activation = "", .dtype = "f32"});
  for (DType x_type : {DType::F32, DType::BF16}) {
    for (DType w_type : {DType::F32, DType::BF16, DType::F16}) {
      Tensor x = make_random(x_type, {shape.m, shape.k}, 1);
      Tensor w = make_random(w_type, {shape.n, shape.k}, 2);
      Tensor y = Tensor::make(DType::F32, {shape.m, shape.n});
      auto check = [&](const std::string& name) {
        expect_near(values_of(x), values_of(w), values_of(y), shape, name);
        std::fill_n(y.as<float>(), y.count(), std::nanf(""));
      };
      int ran = run_all("linear", attributes, {x, w, {}, {}}, {y}, check);
      if (has_kernels()) {
        EXPECT_GE(ran, 1);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, LinearBlocks,
                         testing::Values(LinearShape{1, 131, 4099}, LinearShape{3, 50, 2049},
                                         LinearShape{2, 1100, 1030}, LinearShape{4, 330, 4160},
                                         LinearShape{7, 49, 4160}, LinearShape{13, 97, 513},
                                         LinearShape{24, 60, 1031}, LinearShape{25, 65, 1025},
                                         LinearShape{40, 130, 2500}, LinearShape{257, 33, 530},
                                         LinearShape{200, 65, 1100}, LinearShape{450, 40, 64},
                                         LinearShape{130, 300, 257}, LinearShape{130, 310, 530},
                                         LinearShape{525, 140, 1030}),
                         [](const auto& test) {
                           return std::to_string(test.param.m) + "x" +
                                  std::to_string(test.param.n) + "x" + std::to_string(test.param.k);
                         });

// The order of a sum is that of k in blocks, whatever the tiles are: also for other rows of x
// beside it.
TEST(Linear, ARowDoesNotDependOnTheRowsBesideIt) {
  constexpr int64_t m = 525, n = 140, k = 1030;
  ops::Attributes attributes = ops::to_attributes(ops::Linear{.activation = "", .dtype = "f32"});
  Tensor x = make_random(DType::F32, {m, k}, 7), w = make_random(DType::F32, {n, k}, 8);
  Tensor y = Tensor::make(DType::F32, {m, n});
  std::map<std::string, std::vector<float>> all;
  run_all("linear", attributes, {x, w, {}, {}}, {y},
          [&](const std::string& name) { all[name].assign(y.as<float>(), y.as<float>() + m * n); });
  for (int64_t few : {26, 70, 129}) {
    Tensor part = Tensor::make(DType::F32, {few, k}), result = Tensor::make(DType::F32, {few, n});
    std::copy_n(x.as<float>(), few * k, part.as<float>());
    run_all("linear", attributes, {part, w, {}, {}}, {result}, [&](const std::string& name) {
      for (int64_t i = 0; i < few * n; ++i)
        ASSERT_EQ(result.as<float>()[i], all.at(name)[i]) << name << ", " << few << " rows, " << i;
    });
  }
}

// The same of pairs of bf16, where threads share rows (2100), where x does not stay in L2 (260) and
// where it does (26, 70).
TEST(Linear, ARowOfPairsDoesNotDependOnTheRowsBesideIt) {
  constexpr int64_t m = 2100, n = 300, k = 2090;
  ops::Attributes attributes = ops::to_attributes(ops::Linear{.activation = "", .dtype = "f32"});
  Tensor x = make_random(DType::BF16, {m, k}, 9), w = make_random(DType::BF16, {n, k}, 10);
  Tensor y = Tensor::make(DType::F32, {m, n});
  std::map<std::string, std::vector<float>> all;
  run_all("linear", attributes, {x, w, {}, {}}, {y},
          [&](const std::string& name) { all[name].assign(y.as<float>(), y.as<float>() + m * n); });
  for (int64_t few : {26, 70, 260, 600}) {
    Tensor part = Tensor::make(DType::BF16, {few, k}), result = Tensor::make(DType::F32, {few, n});
    std::copy_n(x.as<uint16_t>(), few * k, part.as<uint16_t>());
    run_all("linear", attributes, {part, w, {}, {}}, {result}, [&](const std::string& name) {
      for (int64_t i = 0; i < few * n; ++i)
        ASSERT_EQ(result.as<float>()[i], all.at(name)[i]) << name << ", " << few << " rows, " << i;
    });
  }
}

TEST(Linear, ActivationComesBetweenBiasAndResidual) {
  ops::Attributes attributes = ops::to_attributes(ops::Linear{.activation = "relu", .dtype = ""});
  for (int64_t m : {1, 30}) {
    Tensor x = make_random(DType::F32, {m, 40}, 3), w = make_random(DType::F32, {70, 40}, 4);
    Tensor bias = make_random(DType::BF16, {70}, 5), residual = make_random(DType::F32, {m, 70}, 6);
    Tensor y = Tensor::make(DType::F32, {m, 70});
    auto check = [&](const std::string& name) {
      for (int64_t i = 0; i < m * 70; ++i) {
        double sum = values_of(bias)[i % 70];
        for (int64_t k = 0; k < 40; ++k) {
          sum += double{x.as<float>()[i / 70 * 40 + k]} * w.as<float>()[i % 70 * 40 + k];
        }
        double expected = std::max(sum, 0.0) + residual.as<float>()[i];
        ASSERT_NEAR(y.as<float>()[i], expected, 1e-5) << name;
      }
    };
    run_all("linear", attributes, {x, w, bias, residual}, {y}, check);
  }
}

// A session asks once, for the most rows there may be.
TEST(Linear, AWorkspaceServesFewerRows) {
  ops::Attributes attributes = ops::to_attributes(ops::Linear{.activation = "", .dtype = "f32"});
  for (DType type : {DType::F32, DType::BF16}) {
    for (const ops::Implementation* kernel : implementations()) {
      int64_t before = 0;
      for (int64_t m : {1, 25, 33, 200, 480, 512, 513, 600, 1000, 1025}) {
        ops::OpDesc desc{
            .op = "linear", .version = 1, .attributes = &attributes, .inputs = {}, .outputs = {}};
        for (const Extents& extents : {Extents{m, 1100}, Extents{700, 1100}})
          desc.inputs.push_back({true, type, extents, nullptr});
        desc.outputs.push_back({true, DType::F32, {m, 700}, nullptr});
        if (kernel->op != "linear" || !kernel->supports(desc).ok) continue;
        int64_t bytes = kernel->workspace_bytes(desc);
        EXPECT_GE(bytes, before) << kernel->name << ", " << m << " rows";
        before = bytes;
      }
    }
  }
}

TEST(Linear, RefusesOtherTypes) {
  ops::Attributes attributes = ops::to_attributes(ops::Linear{});
  Tensor x = Tensor::make(DType::F64, {2, 8}), w = make_random(DType::F32, {4, 8}, 1);
  Tensor y = Tensor::make(DType::F64, {2, 4});
  EXPECT_EQ(run_all("linear", attributes, {x, w, {}, {}}, {y}, [](const std::string&) {}), 0);
}

#if defined(__x86_64__)
// Tiles of pairs of bf16, each on its own: which one `linear` takes depends on the maker of the
// CPU. Small integers make every product and sum exact.
void expect_exact_tile(const GemmKernels& gemm, int m, int64_t elements) {
  int64_t units = (elements + 1) / 2;
  auto value = [](int64_t row, int64_t k) {
    return static_cast<float>((row * 7 + k * 3) % 11 - 5);
  };
  auto row_of = [&](int64_t row) {
    Tensor f32 = Tensor::make(DType::F32, {elements});
    for (int64_t k = 0; k < elements; ++k) f32.as<float>()[k] = value(row, k);
    Tensor bf16 = Tensor::make(DType::BF16, {elements});
    copy_convert(f32, bf16);
    return bf16;
  };
  std::vector<float> a(m * kTilePitch, std::nanf("")), b(units * gemm.columns),
      c(m * gemm.columns, 2.0f);
  std::vector<Tensor> columns;
  std::vector<const void*> from;
  for (int i = 0; i < m; ++i)
    gemm.pack_a(DType::BF16, row_of(i).view().data, elements, &a[i * kTilePitch]);
  for (int j = 0; j < gemm.columns; ++j) columns.push_back(row_of(100 + j));
  for (const Tensor& column : columns) from.push_back(column.view().data);
  gemm.pack_b(DType::BF16, from.data(), gemm.columns, elements, b.data());
  gemm.tile(m, units, a.data(), b.data(), gemm.columns, c.data(), gemm.columns, true, {});
  for (int i = 0; i < m; ++i) {
    for (int j = 0; j < gemm.columns; ++j) {
      float sum = 2;
      for (int64_t k = 0; k < elements; ++k) sum += value(i, k) * value(100 + j, k);
      ASSERT_EQ(c[i * gemm.columns + j], sum)
          << m << " rows, " << elements << " elements, at " << i << ", " << j;
    }
  }
}

TEST(PairTiles, Vectors) {
  if (!cpu_supports(Isa::Avx512Bf16).ok)
    GTEST_SKIP() << "skip " << cpu_supports(Isa::Avx512Bf16).reason;
  for (int m : {1, 7, 12}) {
    for (int64_t elements : {1, 31, 64, 205}) expect_exact_tile(avx512bf16::kGemm, m, elements);
  }
}

// The same by tiles: sums of blocks, begun at 0 and continued.
void expect_exact_blocks(int m, int64_t elements) {
  const PairTileKernels& tiles = amx::kPairTiles;
  int64_t steps = ceil_div(elements, kPairStep), blocks = ceil_div(m, kPairBlock);
  auto value = [](int64_t row, int64_t k) {
    return static_cast<float>((row * 7 + k * 3) % 11 - 5);
  };
  auto row_of = [&](int64_t row) {
    Tensor f32 = Tensor::make(DType::F32, {steps * kPairStep});
    for (int64_t k = 0; k < f32.count(); ++k)
      f32.as<float>()[k] = k < elements ? value(row, k) : 0.0f;
    Tensor bf16 = Tensor::make(DType::BF16, {steps * kPairStep});
    copy_convert(f32, bf16);
    return bf16;
  };
  Tensor w = Tensor::make(DType::U8, {steps * kPairBytes});
  Tensor x = Tensor::make(DType::U8, {blocks * steps * kPairBytes});
  Tensor c = Tensor::make(DType::F32, {blocks * kPairSums});
  std::fill_n(x.as<uint8_t>(), x.count(), uint8_t{0xFF});  // NaN where nothing is packed
  std::vector<Tensor> tensors;
  std::vector<const void*> from, columns;
  for (int j = 0; j < kPairBlock; ++j) tensors.push_back(row_of(100 + j));
  for (int64_t i = 0; i < round_up(m, 16); ++i) tensors.push_back(row_of(std::min<int64_t>(i, m)));
  for (const Tensor& tensor : tensors) from.push_back(tensor.view().data);
  tiles.pack_w(from.data(), elements, steps, w.as<uint8_t>());
  columns.assign(from.begin() + kPairBlock, from.end());
  for (int64_t i = 0; i < m; i += 16) {
    for (int64_t step = 0; step < steps; ++step) {
      tiles.pack_x(columns.data() + i, step * 64,
                   x.as<uint8_t>() + (i / 32 * steps + step) * kPairBytes + i % 32 / 16 * 1024);
    }
  }
  tiles.begin();
  for (bool accumulate : {false, true})
    tiles.multiply({m, steps, w.view().data, x.view().data, c.as<float>(), accumulate});
  tiles.end();
  for (int i = 0; i < m; ++i) {
    for (int j = 0; j < kPairBlock; ++j) {
      float sum = 0;
      for (int64_t k = 0; k < elements; ++k) sum += 2 * value(i, k) * value(100 + j, k);
      ASSERT_EQ(c.as<float>()[i / 32 * kPairSums + j * 32 + i % 32], sum)
          << m << " rows, " << elements << " elements, at " << i << ", " << j;
    }
  }
}

TEST(PairTiles, Amx) {
  if (!cpu_supports(Isa::Amx).ok) GTEST_SKIP() << "skip " << cpu_supports(Isa::Amx).reason;
  for (int m : {1, 16, 17, 32, 33, 75}) {
    for (int64_t elements : {1, 31, 64, 205}) expect_exact_blocks(m, elements);
  }
}
#endif

}  // namespace
}  // namespace tenon::cpu
