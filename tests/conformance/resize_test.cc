#include "ops/resize.h"

#include <gtest/gtest.h>

#include <cmath>

#include "conformance.h"
#include "tolerance.h"

namespace tenon::conformance {
namespace {

// The reference takes positions and shares in f32 as the definition does, so they are exact here;
// three mixes, each of two products and a sum: 9 u of the largest magnitude.
Bounds bounds(const Case& test_case, const Exact& exact) {
  double largest = 0;
  for (double value : values_of(test_case.inputs[0])) largest = std::max(largest, std::fabs(value));
  return {std::vector<double>(exact.outputs[0].count(), 9 * kUnit * largest)};
}

TEST(Conformance, Resize) {
  struct Form {
    Extents x;
    int64_t height, width;
  };
  const std::vector<Form> forms = {{{1, 8, 8, 1}, 32, 32},    {{2, 7, 5, 3}, 13, 17},
                                   {{1, 16, 16, 4}, 16, 16},  {{1, 20, 30, 1}, 7, 11},
                                   {{1, 1, 1, 5}, 4, 3},      {{1, 9, 2, 1}, 1, 1},
                                   {{3, 64, 64, 1}, 61, 127}, {{0, 4, 4, 1}, 8, 8}};
  Suite suite{.op = "resize", .cases = {}, .bounds = bounds, .check = {}};
  for (DType dtype : {DType::F32, DType::BF16, DType::F16}) {
    for (const Form& form : forms) {
      std::string name = std::string(dtype_name(dtype)) + form.x.to_string() + "_to_" +
                         std::to_string(form.height) + "x" + std::to_string(form.width);
      Random random(name);
      ops::Resize op{"bilinear", std::to_string(form.height), std::to_string(form.width)};
      Case result{name, ops::to_attributes(op), {}};
      result.inputs.push_back(random_floats(random, dtype, form.x));
      suite.cases.push_back(std::move(result));
    }
  }
  run_suite(suite);
}

}  // namespace
}  // namespace tenon::conformance
