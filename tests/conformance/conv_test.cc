#include "ops/conv.h"

#include <gtest/gtest.h>

#include <cmath>

#include "conformance.h"
#include "tolerance.h"

namespace tenon::conformance {
namespace {

struct ConvCase {
  std::string name;
  Extents x, weight;
  ops::Conv op = {};
  bool bias = false;
  DType dtype = DType::F32;
};

Case make_case(const ConvCase& c) {
  std::string name = c.name + "_" + std::string(dtype_name(c.dtype));
  Random random(name);
  Case result{name, ops::to_attributes(c.op), {}};
  double taps = static_cast<double>(c.weight[1] * c.weight[2] * c.weight[3]);
  result.inputs.push_back(random_floats(random, c.dtype, c.x));
  result.inputs.push_back(
      random_floats(random, c.dtype, c.weight, {.spread = 1 / std::sqrt(taps)}));
  if (c.bias) result.inputs.push_back(random_floats(random, DType::F32, {c.weight[0]}));
  return result;
}

// (taps + 2) u times the sum of magnitudes, which is the same convolution of |x|, |weight|, |bias|.
Bounds bounds(const Case& test_case, const Exact& exact) {
  auto op = ops::read_attributes<ops::Conv>(test_case.attributes);
  std::string activation = op.activation;
  op.activation = "", op.dtype = "f64";
  Case sums{"sums", ops::to_attributes(op), {}}, magnitudes{"magnitudes", sums.attributes, {}};
  for (const Operand& input : test_case.inputs) {
    std::vector<double> values = values_of(input);
    sums.inputs.push_back(floats(DType::F64, input.view.extents, values));
    for (double& value : values) value = std::fabs(value);
    magnitudes.inputs.push_back(floats(DType::F64, input.view.extents, values));
  }
  Tensor sum = std::move(compute_exact("conv", sums).outputs[0]);
  Tensor magnitude = std::move(compute_exact("conv", magnitudes).outputs[0]);
  const Extents& weight = test_case.inputs[1].view.extents;
  auto taps = static_cast<double>(weight[1] * weight[2] * weight[3]);
  Bounds bounds(1);
  for (int64_t i = 0; i < exact.outputs[0].count(); ++i) {
    double error = (taps + 2) * kUnit * magnitude.as<double>()[i], at = sum.as<double>()[i];
    if (!activation.empty()) {
      error = error * unary_slope(activation, at) + unary_error(activation, at);
    }
    bounds[0].push_back(error);
  }
  return bounds;
}

TEST(Conformance, Conv) {
  const std::vector<ConvCase> forms = {
      {"one_pixel", {1, 1, 1, 1}, {1, 1, 1, 1}},
      {"pointwise", {2, 5, 7, 19}, {13, 1, 1, 19}, {}, true},
      {"3x3", {1, 9, 6, 8}, {16, 3, 3, 8}, {.pads = {1, 1, 1, 1}}},
      {"3x3_valid", {2, 5, 5, 3}, {4, 3, 3, 3}, {}, true},
      {"patches", {1, 32, 48, 3}, {24, 16, 16, 3}, {.strides = {16, 16}}, true},
      {"stride_2", {1, 11, 13, 5}, {7, 3, 3, 5}, {.strides = {2, 2}, .pads = {1, 1, 0, 0}}, true},
      {"uneven", {1, 8, 9, 4}, {6, 2, 5, 4}, {.strides = {1, 3}, .pads = {0, 2, 1, 2}}},
      {"dilated", {1, 12, 12, 4}, {4, 3, 3, 4}, {.pads = {2, 2, 2, 2}, .dilations = {2, 2}}},
      {"groups", {1, 6, 6, 12}, {8, 3, 3, 3}, {.pads = {1, 1, 1, 1}, .groups = 4}, true},
      {"depthwise", {2, 7, 1, 16}, {16, 5, 1, 1}, {.pads = {2, 0, 2, 0}, .groups = 16}, true},
      {"relu", {1, 6, 6, 8}, {8, 3, 3, 8}, {.pads = {1, 1, 1, 1}, .activation = "relu"}, true},
      {"no_pictures", {0, 6, 6, 8}, {8, 3, 3, 8}},
  };
  Suite suite{.op = "conv", .cases = {}, .bounds = bounds, .check = {}};
  for (DType dtype : {DType::F32, DType::BF16, DType::F16}) {
    for (ConvCase form : forms) {
      form.dtype = dtype;
      suite.cases.push_back(make_case(form));
    }
  }
  run_suite(suite);
}

}  // namespace
}  // namespace tenon::conformance
