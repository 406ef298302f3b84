#include "ops/layer_norm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "norm_cases.h"
#include "tolerance.h"

namespace tenon::conformance {
namespace {

// Bounds of y for one row. With c = s - mean:
// - e_mean = (d + 2) u mean|s|; the error of one c: e = e_mean + u |s| (s rounded) + u |c|.
// - the variance is a mean of squares of such c, (d + 3) u of its own: e_var = mean(2 |c| e + e^2)
//   + (d + 3) u (var + mean e^2). A variance made as E[s^2] - mean^2 breaks this where the mean is
//   large, on purpose.
// - y = c / root * weight + bias: e / root, the root's half of e_var relative to var + eps, its own
//   kFunction, two products and the bias.
void add_row_bounds(const double* s, const std::vector<double>& weight,
                    const std::vector<double>& bias, double eps, const double* y,
                    std::vector<double>& bounds) {
  size_t size = weight.size();
  auto d = static_cast<double>(size);
  double mean = 0, magnitude = 0, variance = 0;
  for (size_t i = 0; i < size; ++i) {
    mean += s[i] / d;
    magnitude += std::fabs(s[i]) / d;
  }
  double mean_error = (d + 2) * kUnit * magnitude, variance_error = 0, error_squares = 0;
  auto centred_error = [&](double value) {
    return mean_error + kUnit * std::fabs(value) + kUnit * std::fabs(value - mean);
  };
  for (size_t i = 0; i < size; ++i) {
    double c = std::fabs(s[i] - mean), e = centred_error(s[i]);
    variance += c * c / d;
    variance_error += (2 * c * e + e * e) / d;
    error_squares += e * e / d;
  }
  variance_error += (d + 3) * kUnit * (variance + error_squares);
  double root = std::sqrt(variance + eps);
  for (size_t i = 0; i < size; ++i) {
    double scaled = std::fabs((s[i] - mean) / root * weight[i]);
    double from_root = scaled * (0.5 * variance_error / (variance + eps) + kFunction + 3 * kUnit);
    bounds.push_back(std::fabs(weight[i]) * centred_error(s[i]) / root + from_root +
                     kUnit * (std::fabs(y[i]) + std::fabs(bias.empty() ? 0 : bias[i])));
  }
}

Bounds bounds(const Case& test_case, const Exact& exact) {
  double eps = ops::read_attributes<ops::LayerNorm>(test_case.attributes).eps;
  std::vector<double> s = norm_sum(test_case, 3), weight = values_of(test_case.inputs[1]);
  std::vector<double> bias = values_of(test_case.inputs[2]);
  Bounds bounds(exact.outputs.size());
  for (size_t first = 0; first < s.size(); first += weight.size()) {
    add_row_bounds(&s[first], weight, bias, eps, exact.outputs[0].as<double>() + first, bounds[0]);
  }
  if (bounds.size() > 1) {
    for (double value : s) bounds[1].push_back(kUnit * std::fabs(value));
  }
  return bounds;
}

TEST(Conformance, LayerNorm) {
  Suite suite{.op = "layer_norm", .cases = {}, .bounds = bounds, .check = {}};
  for (const NormCase& c : norm_cases()) {
    for (bool with_bias : {true, false}) {
      if (!with_bias && c.x_extents.back() > 64) continue;
      Random random(c.name);
      Case result{c.name + (with_bias ? "_bias" : ""),
                  ops::to_attributes(ops::LayerNorm{1e-5, std::string(dtype_name(c.y))}),
                  {}};
      add_norm_inputs(result, random, c);
      result.inputs.push_back(with_bias ? random_floats(random, c.weight, {c.x_extents.back()})
                                        : absent());
      result.inputs.push_back(norm_residual(random, c));
      suite.cases.push_back(std::move(result));
    }
  }
  run_suite(suite);
}

}  // namespace
}  // namespace tenon::conformance
