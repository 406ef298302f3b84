// Rows of numbers: conversions bit for bit, sums, and nothing written past the end.
#include <gtest/gtest.h>

#include <bit>
#include <limits>

#include "backends/cpu/test_kernels.h"
#include "tensor/float_formats.h"

namespace tenon::cpu {
namespace {

uint16_t expected_bits(DType dtype, float value) {
  return dtype == DType::BF16 ? to_bf16(value).bits : to_f16(value).bits;
}
float expected_value(DType dtype, uint16_t bits) {
  return dtype == DType::BF16 ? to_float(bf16_t{bits}) : to_float(f16_t{bits});
}

TEST(Rows, LoadEveryValueOf16Bits) {
  std::vector<uint16_t> all(65536);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint16_t>(i);
  for (const NamedRows& kernels : runnable_rows()) {
    for (DType dtype : {DType::BF16, DType::F16}) {
      std::vector<float> got(all.size());
      kernels.rows->load(dtype, all.data(), static_cast<int64_t>(all.size()), got.data());
      for (size_t i = 0; i < all.size(); ++i) {
        float expected = expected_value(dtype, all[i]);
        if (std::isnan(expected)) {
          EXPECT_TRUE(std::isnan(got[i]));
        } else {
          ASSERT_EQ(std::bit_cast<uint32_t>(got[i]), std::bit_cast<uint32_t>(expected)) << i;
        }
      }
    }
  }
}

TEST(Rows, StoreRoundsToNearestEven) {
  std::vector<float> values;
  // Steps that meet ties, overflow to infinity, subnormal results and both signs.
  for (uint64_t bits = 0; bits < 0x100000000u; bits += 0x1000 * 13 + 0x800) {
    values.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
    values.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits) & 0xFFFFE000u));
  }
  values.push_back(65520.0f);
  values.push_back(std::numeric_limits<float>::infinity());
  for (const NamedRows& kernels : runnable_rows()) {
    for (DType dtype : {DType::BF16, DType::F16}) {
      std::vector<uint16_t> got(values.size());
      kernels.rows->store(dtype, values.data(), static_cast<int64_t>(values.size()), got.data());
      for (size_t i = 0; i < values.size(); ++i) {
        if (std::isnan(values[i])) {
          EXPECT_TRUE(std::isnan(expected_value(dtype, got[i])));
        } else {
          ASSERT_EQ(got[i], expected_bits(dtype, values[i])) << values[i];
        }
      }
    }
  }
}

TEST(Rows, SumsOfEveryLength) {
  for (const NamedRows& kernels : runnable_rows()) {
    for (int64_t n = 0; n < 150; ++n) {
      std::vector<float> row(n);
      double sum = 0, squares = 0;
      float largest = -std::numeric_limits<float>::infinity();
      for (int64_t i = 0; i < n; ++i) {
        row[i] = static_cast<float>(i * 7 % 31) - 11.0f;
        sum += row[i];
        squares += (row[i] - 2.0) * (row[i] - 2.0);
        largest = std::max(largest, row[i]);
      }
      EXPECT_EQ(kernels.rows->sum(row.data(), n), sum) << n;
      EXPECT_EQ(kernels.rows->sum_squares(row.data(), n, 2.0f), squares) << n;
      EXPECT_EQ(kernels.rows->largest(row.data(), n), largest) << n;
    }
  }
}

TEST(Rows, LargestIgnoresNan) {
  for (const NamedRows& kernels : runnable_rows()) {
    std::vector<float> row(70, std::nanf(""));
    EXPECT_EQ(kernels.rows->largest(row.data(), 70), -std::numeric_limits<float>::infinity());
    row[3] = -5;
    row[69] = -7;
    EXPECT_EQ(kernels.rows->largest(row.data(), 70), -5);
  }
}

TEST(Rows, StayWithinTheirLength) {
  for (const NamedRows& kernels : runnable_rows()) {
    for (DType dtype : {DType::F32, DType::BF16, DType::F16}) {
      for (int64_t n = 0; n < 40; ++n) {
        std::vector<float> from(n, 1.0f);
        std::vector<uint8_t> to((n + 1) * 4, 0xAB);
        kernels.rows->store(dtype, from.data(), n, to.data());
        for (size_t i = dtype_bytes(dtype, n); i < to.size(); ++i) ASSERT_EQ(to[i], 0xAB);
      }
    }
  }
}

TEST(Rows, SoftmaxPiecesAndRotation) {
  for (const NamedRows& kernels : runnable_rows()) {
    for (int64_t n : {1, 15, 16, 17, 33, 100}) {
      std::vector<float> row(n);
      double sum = 0;
      for (int64_t i = 0; i < n; ++i) row[i] = static_cast<float>(i % 9) * 0.3f;
      for (float value : row) sum += std::exp(double{value} - 2.4);
      EXPECT_NEAR(kernels.rows->exp_sum(row.data(), n, 2.4f), sum, 1e-6 * sum);
      EXPECT_NEAR(row[0], std::exp(-2.4), 1e-7);

      std::vector<float> a(n, 3.0f), b(n, 4.0f), cosine(n, 0.6f), sine(n, 0.8f);
      kernels.rows->rotate(a.data(), b.data(), cosine.data(), sine.data(), n);
      EXPECT_NEAR(a[n - 1], -1.4f, 1e-6);
      EXPECT_NEAR(b[n - 1], 4.8f, 1e-6);
    }
  }
}

}  // namespace
}  // namespace tenon::cpu
