#include "ops/rms_norm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "norm_cases.h"
#include "tolerance.h"

namespace tenon::conformance {
namespace {

// Rounding s: u. The mean of d squares, relative: (d + 2) u of its own and 2 u from s; under the
// root that halves. Root or rsqrt: kFunction. Division, weight, product: 3 u. `sum` is s rounded
// once in f32: u |s|.
Bounds bounds(const Case& test_case, const Exact& exact) {
  auto columns = static_cast<double>(test_case.inputs[0].view.columns());
  double relative = kUnit + (columns + 4) / 2 * kUnit + kFunction + 3 * kUnit;
  Bounds bounds(exact.outputs.size());
  for (size_t output = 0; output < exact.outputs.size(); ++output) {
    for (int64_t i = 0; i < exact.outputs[output].count(); ++i) {
      double value = std::fabs(exact.outputs[output].as<double>()[i]);
      bounds[output].push_back((output == 0 ? relative : kUnit) * value);
    }
  }
  return bounds;
}

TEST(Conformance, RmsNorm) {
  Suite suite{.op = "rms_norm", .cases = {}, .bounds = bounds, .check = {}};
  for (const NormCase& c : norm_cases()) {
    Random random(c.name);
    double eps = c.x_extents.back() % 2 ? 1e-5 : 1e-6;
    Case result{c.name, ops::to_attributes(ops::RmsNorm{eps, std::string(dtype_name(c.y))}), {}};
    add_norm_inputs(result, random, c);
    result.inputs.push_back(norm_residual(random, c));
    suite.cases.push_back(std::move(result));
  }
  run_suite(suite);
}

}  // namespace
}  // namespace tenon::conformance
