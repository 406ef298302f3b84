#include "tolerance.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace tenon::conformance {
namespace {

struct Format {
  int precision;          // bits of the significand, with the hidden one
  int smallest_exponent;  // of the smallest normal number
};

Format format_of(DType dtype) {
  switch (dtype) {
    case DType::F16:
      return {11, -14};
    case DType::BF16:
      return {8, -126};
    case DType::F32:
      return {24, -126};
    default:
      return {53, -1022};
  }
}

// 0.5 x (1 + g(a)) where g is tanh or erf and the argument a carries `argument_error`. 1 + g
// cancels for negative x, so the error is relative to 1 there, not to y: the formula's own
// property.
double gelu_error(double x, double g, double slope_of_g, double argument_error) {
  double factor_error = kFunction * std::fabs(g) + slope_of_g * argument_error + kUnit;
  return 0.5 * std::fabs(x) * (factor_error + 2 * kUnit * (1 + g));
}

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

}  // namespace

double half_ulp(DType dtype, double magnitude) {
  Format format = format_of(dtype);
  int exponent = magnitude > 0 ? std::ilogb(magnitude) : format.smallest_exponent;
  return std::ldexp(1.0, std::max(exponent, format.smallest_exponent) - format.precision);
}

double unary_error(std::string_view kind, double x) {
  if (kind == "relu" || kind == "neg") return 0;
  // Where exp(-x) overflows f32, 1 / (1 + exp(-x)) is flushed; x times that is what is lost.
  double flushed = std::max(1.0, std::fabs(x)) * kSmallestNormal;
  if (kind == "exp") return kFunction * std::exp(x) + flushed;
  if (kind == "tanh") return kFunction * std::fabs(std::tanh(x)) + flushed;
  if (kind == "sigmoid") return (kFunction + 2 * kUnit) * sigmoid(x) + flushed;
  if (kind == "silu") return (kFunction + 3 * kUnit) * std::fabs(x) * sigmoid(x) + flushed;
  if (kind == "quick_gelu") {
    // 1.702 and the product are rounded: the argument is off by 2 u |1.702 x|, which changes the
    // sigmoid by the factor 1 - sigmoid of that.
    double gate = sigmoid(1.702 * x);
    double relative = kFunction + 3 * kUnit + 2 * kUnit * std::fabs(1.702 * x) * (1 - gate);
    return relative * std::fabs(x) * gate + flushed;
  }
  if (kind == "gelu_erf") {
    double argument = x / std::numbers::sqrt2;
    double slope = 2 * std::numbers::inv_sqrtpi * std::exp(-argument * argument);
    return gelu_error(x, std::erf(argument), slope, 2 * kUnit * std::fabs(argument)) + flushed;
  }
  if (kind == "gelu_tanh") {
    // x^3: 2, constant and product: 2, sum: 1, sqrt(2 / pi) and product: 2.
    double argument = std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x);
    double g = std::tanh(argument);
    return gelu_error(x, g, 1 - g * g, 7 * kUnit * std::fabs(argument)) + flushed;
  }
  throw Error(ErrorCode::Internal, "kind without an error bound").got(kind);
}

double unary_slope(std::string_view kind, double x) {
  if (kind == "exp") return std::exp(x) * kSlack;
  if (kind == "sigmoid") return 0.25;
  // The largest slopes of gelu, quick_gelu and silu are 1.13, 1.10 and 1.10.
  if (kind == "relu" || kind == "neg" || kind == "tanh") return 1;
  return 1.13;
}

}  // namespace tenon::conformance
