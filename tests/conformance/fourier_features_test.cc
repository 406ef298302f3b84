#include "ops/fourier_features.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "conformance.h"
#include "tolerance.h"

namespace tenon::conformance {
namespace {

// The phase has (d + 3) u of its magnitudes from the sum and 2 u from 2 pi; sin and cos have slope
// 1 and an absolute error of kFunction.
Bounds bounds(const Case& test_case, const Exact& exact) {
  std::vector<double> x = values_of(test_case.inputs[0]), f = values_of(test_case.inputs[1]);
  int64_t d = test_case.inputs[1].view.extents[0], n = test_case.inputs[1].view.extents[1];
  Bounds bounds(1);
  for (int64_t i = 0; i < exact.outputs[0].count(); ++i) {
    double magnitude = 0;
    for (int64_t at = 0; at < d; ++at) {
      magnitude += (std::fabs(2 * x[i / (2 * n) * d + at]) + 1) * std::fabs(f[at * n + i % n]);
    }
    bounds[0].push_back(2 * std::numbers::pi * static_cast<double>(d + 5) * kUnit * magnitude +
                        kFunction);
  }
  return bounds;
}

TEST(Conformance, FourierFeatures) {
  Suite suite{.op = "fourier_features", .cases = {}, .bounds = bounds, .check = {}};
  const Extents forms[] = {{1, 2}, {3, 5, 2}, {7, 3}, {0, 2}, {64, 2}};
  for (const Extents& form : forms) {
    for (int64_t n : {1, 17, 128}) {
      std::string name = form.to_string() + "_to_" + std::to_string(2 * n);
      Random random(name);
      Case result{name, {}, {}};
      result.inputs.push_back(
          random_floats(random, DType::F32, form, {.spread = 0.3, .offset = 0.5}));
      result.inputs.push_back(random_floats(random, DType::F32, {form.back(), n}));
      suite.cases.push_back(std::move(result));
    }
  }
  run_suite(suite);
}

}  // namespace
}  // namespace tenon::conformance
