// The vector forms of exp and what stands on it, against long double libm on dense samples.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <numbers>

#include "backends/cpu/test_kernels.h"

namespace tenon::cpu {
namespace {

using Function = long double (*)(long double);

long double sigmoid(long double x) {
  return 1 / (1 + std::exp(-x));
}
// By erfc, which does not cancel for negative x.
long double gelu_erf(long double x) {
  return x / 2 * std::erfc(-x / std::numbers::sqrt2_v<long double>);
}
long double gelu_tanh(long double x) {
  long double u = std::sqrt(2 / std::numbers::pi_v<long double>) * (x + 0.044715L * x * x * x);
  return x * sigmoid(2 * u);
}

struct FunctionCase {
  const char* name;
  Activation kind;
  Function exact;
  float low, high;
  double allowed_ulp;
  // gelu(x) = x / 2 * (1 + ...): the sum cancels for negative x, so its error is a part of x / 2.
  bool of_half_input = false;
};

// In units in the last place of `scale`; below the normal numbers, of the smallest normal.
double ulp_error(float got, long double exact, long double scale) {
  int exponent = std::max(std::ilogb(scale), -126);
  return static_cast<double>(std::fabs(got - exact) / std::ldexp(1.0L, exponent - 23));
}

// Samples as dense near 0 as the floats themselves.
std::vector<float> samples(float low, float high) {
  std::vector<float> values;
  for (uint32_t bits = 0; bits < 0x7F800000u; bits += 4001) {
    float value = std::bit_cast<float>(bits);
    if (value <= high) values.push_back(value);
    if (-value >= low) values.push_back(-value);
  }
  return values;
}

class VectorMath : public testing::TestWithParam<FunctionCase> {};

TEST_P(VectorMath, IsNearTheExactValue) {
  const FunctionCase& c = GetParam();
  std::vector<float> x = samples(c.low, c.high);
  for (const NamedRows& kernels : runnable_rows()) {
    std::vector<float> y = x;
    kernels.rows->activate(c.kind, static_cast<int64_t>(y.size()), y.data());
    double worst = 0;
    float worst_at = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      long double exact = c.exact(x[i]);
      double error = ulp_error(y[i], exact, c.of_half_input ? x[i] / 2 : exact);
      if (error > worst) worst = error, worst_at = x[i];
    }
    EXPECT_LE(worst, c.allowed_ulp) << c.name << " " << kernels.name << " at " << worst_at;
    RecordProperty(kernels.name, std::to_string(worst));
  }
}

// The allowances are the measured errors, rounded up.
INSTANTIATE_TEST_SUITE_P(
    All, VectorMath,
    testing::Values(FunctionCase{"exp", Activation::Exp, std::exp, -104, 88.7f, 1.0},
                    FunctionCase{"tanh", Activation::Tanh, std::tanh, -20, 20, 2.0},
                    FunctionCase{"sigmoid", Activation::Sigmoid, sigmoid, -87, 87, 2.0},
                    FunctionCase{"gelu_erf", Activation::GeluErf, gelu_erf, -20, 20, 3.0, true},
                    FunctionCase{"gelu_tanh", Activation::GeluTanh, gelu_tanh, -20, 20, 4.0, true}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(VectorMathEdges, KeepInfinitiesAndNan) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const NamedRows& kernels : runnable_rows()) {
    float x[] = {kInfinity, -kInfinity, std::nanf(""), 0.0f, 89.0f, -200.0f};
    kernels.rows->activate(Activation::Exp, 6, x);
    EXPECT_EQ(x[0], kInfinity);
    EXPECT_EQ(x[1], 0.0f);
    EXPECT_TRUE(std::isnan(x[2]));
    EXPECT_EQ(x[3], 1.0f);
    EXPECT_EQ(x[4], kInfinity);
    EXPECT_EQ(x[5], 0.0f);
    float t[] = {kInfinity, -kInfinity, std::nanf(""), -0.0f};
    kernels.rows->activate(Activation::Tanh, 4, t);
    EXPECT_EQ(t[0], 1.0f);
    EXPECT_EQ(t[1], -1.0f);
    EXPECT_TRUE(std::isnan(t[2]));
    EXPECT_TRUE(std::signbit(t[3]));
    float r[] = {std::nanf(""), -3.0f, 2.0f};
    kernels.rows->activate(Activation::Relu, 3, r);
    EXPECT_TRUE(std::isnan(r[0]));
    EXPECT_EQ(r[1], 0.0f);
    EXPECT_EQ(r[2], 2.0f);
  }
}

}  // namespace
}  // namespace tenon::cpu
