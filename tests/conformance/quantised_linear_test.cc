#include "ops/quantised_linear.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "conformance.h"
#include "tensor/formats/quantised_weight.h"
#include "tolerance.h"

namespace tenon::conformance {
namespace {

struct QuantCase {
  std::string name;
  int64_t rows, in, out;
  DType codes = DType::U8;
  int64_t group = 0;
  bool zeros = false;
  std::string x_codes = "i8";
  DType x = DType::F32, y = DType::F32;
  DType scales = DType::F32;
  bool bias = false, residual = false;
  std::string activation = {};
  Layout layout = Layout::Contiguous;
  int64_t bucket_rows = 0;
};

// Weights off the middle where zeros are stored, so that they matter.
Tensor random_weight(Random& random, const QuantCase& c) {
  double spread = 1 / std::sqrt(static_cast<double>(c.in));
  Tensor weight = Tensor::make(DType::F32, {c.out, c.in});
  for (int64_t i = 0; i < weight.count(); ++i) {
    double value = spread * (random.normal() + (c.zeros ? 1.5 : 0));
    weight.as<float>()[i] = static_cast<float>(value);
  }
  return weight;
}

Case make_case(const QuantCase& c) {
  Random random(c.name);
  ops::QuantisedLinear op{c.out,     c.in,         c.group,
                          c.x_codes, c.activation, std::string(dtype_name(c.y))};
  Case result{c.name, ops::to_attributes(op), {}};
  int64_t bucket = c.bucket_rows ? c.bucket_rows : c.rows;
  result.inputs.push_back(
      random_floats(random, c.x, {c.rows, c.in}, {.layout = c.layout}).in_bucket({bucket, c.in}));
  OwnedQuantisedWeight weight =
      round_to_nearest(random_weight(random, c), op.spec(c.codes, c.scales, c.zeros));
  result.inputs.push_back(from_tensor(weight.codes));
  result.inputs.push_back(from_tensor(weight.scales));
  result.inputs.push_back(c.zeros ? from_tensor(weight.zeros) : absent());
  result.inputs.push_back(c.bias ? random_floats(random, DType::F32, {c.out}) : absent());
  result.inputs.push_back(c.residual
                              ? random_floats(random, c.y, {c.rows, c.out}, {.layout = c.layout})
                                    .in_bucket({bucket, c.out})
                              : absent());
  return result;
}

// x as the product sees it.
std::vector<double> seen_x(const std::vector<double>& x, int64_t in, bool rounded) {
  if (!rounded) return x;
  std::vector<double> seen(x.size());
  for (size_t row = 0; row < x.size(); row += in) {
    float largest = 0;
    for (int64_t i = 0; i < in; ++i)
      largest = std::max(largest, std::fabs(static_cast<float>(x[row + i])));
    if (largest < ops::kLeastRowMaximum) continue;
    float inverse = 127.0f / largest;
    for (int64_t i = 0; i < in; ++i) {
      seen[row + i] = std::nearbyint(static_cast<float>(x[row + i]) * inverse);
      seen[row + i] *= largest / 127.0f;
    }
  }
  return seen;
}

// What a sum of one row and one column may lose before bias and activation. Weights alone rounded:
// (in + 4) u sum |x w|, of them 2 for the weight. With x rounded too, sums of a group are integers
// and exact: (groups + 6) u sum of |group sums|, for the conversion, two scales and the additions.
struct Products {
  double sum = 0, error = 0;
};

Products products_of(const double* x, const QuantisedWeight& weight, const PanelSizes& sizes,
                     int64_t row, int64_t in, bool rounded) {
  Products result;
  double of_elements = 0, of_groups = 0;
  for (int64_t first = 0; first < in; first += sizes.group) {
    double group = 0;
    for (int64_t i = first; i < std::min(in, first + sizes.group); ++i) {
      double product = x[i] * weight.value(sizes, row, i);
      group += product;
      of_elements += std::fabs(product);
    }
    result.sum += group;
    of_groups += std::fabs(group);
  }
  result.error = rounded ? static_cast<double>(sizes.groups + 6) * kUnit * of_groups
                         : static_cast<double>(in + 4) * kUnit * of_elements;
  return result;
}

Bounds bounds(const Case& test_case, const Exact& exact) {
  auto op = ops::read_attributes<ops::QuantisedLinear>(test_case.attributes);
  QuantisedWeight weight{test_case.inputs[1].view, test_case.inputs[2].view,
                         test_case.inputs[3].present ? test_case.inputs[3].view : TensorView()};
  PanelSizes sizes = panel_sizes(
      op.spec(weight.codes.dtype, weight.scales.dtype, weight.zeros.defined()), op.out, op.in);
  bool rounded = !op.x_codes.empty();
  std::vector<double> x = seen_x(values_of(test_case.inputs[0]), op.in, rounded);
  std::vector<double> bias = values_of(test_case.inputs[4]);
  Bounds bounds(1);
  for (int64_t i = 0; i < exact.outputs[0].count(); ++i) {
    int64_t row = i / op.out, column = i % op.out;
    Products products = products_of(x.data() + row * op.in, weight, sizes, column, op.in, rounded);
    double added = bias.empty() ? 0 : bias[column], sum = products.sum + added;
    double error = products.error + kUnit * (std::fabs(sum) + std::fabs(added));
    if (!op.activation.empty()) {
      error = error * unary_slope(op.activation, sum) + unary_error(op.activation, sum);
    }
    bounds[0].push_back(error + kUnit * std::fabs(exact.outputs[0].as<double>()[i]));
  }
  return bounds;
}

const int64_t kShapes[][3] = {{1, 1, 1},     {1, 3, 17},     {2, 33, 31},    {3, 64, 32},
                              {5, 127, 65},  {7, 128, 33},   {1, 200, 130},  {13, 96, 64},
                              {24, 160, 40}, {25, 65, 97},   {49, 256, 71},  {130, 72, 34},
                              {1, 2052, 96}, {11, 4200, 33}, {17, 1100, 33}, {260, 36, 32}};

std::string shape_name(std::string_view prefix, const int64_t (&shape)[3]) {
  return std::string(prefix) + "_" + std::to_string(shape[0]) + "x" + std::to_string(shape[1]) +
         "x" + std::to_string(shape[2]);
}

std::vector<QuantCase> shape_cases() {
  std::vector<QuantCase> cases;
  for (const auto& shape : kShapes) {
    auto add = [&](std::string_view name, QuantCase c) {
      c.name = shape_name(name, shape);
      c.rows = shape[0], c.in = shape[1], c.out = shape[2];
      cases.push_back(std::move(c));
    };
    constexpr DType kU8 = DType::U8, kU4 = DType::U4;
    QuantCase any{"", 0, 0, 0};
    auto format = [&](DType codes, int64_t group, bool zeros, std::string x_codes, DType x) {
      QuantCase c = any;
      c.codes = codes, c.group = group, c.zeros = zeros, c.x_codes = std::move(x_codes), c.x = x;
      c.scales = codes == kU4 ? DType::F16 : DType::F32;
      return c;
    };
    add("w8a8", format(kU8, 0, false, "i8", DType::F32));
    add("w8a8_zeros_bf16", format(kU8, 0, true, "i8", DType::BF16));
    add("w4a16_g32", format(kU4, 32, false, "", DType::F32));
    add("w4a16_g64_zeros", format(kU4, 64, true, "", DType::F32));
    add("w4a16_g128_bf16", format(kU4, 128, false, "", DType::BF16));
    add("w4a16_g32_zeros_f16", format(kU4, 32, true, "", DType::F16));
    add("w4a8_g32_zeros", format(kU4, 32, true, "i8", DType::F32));
    add("w8a16_g64", format(kU8, 64, false, "", DType::F32));
    add("w8a8_g32_zeros", format(kU8, 32, true, "i8", DType::F32));
    add("w4a8_g128_bf16", format(kU4, 128, false, "i8", DType::BF16));
  }
  return cases;
}

std::vector<QuantCase> form_cases() {
  constexpr DType kF32 = DType::F32, kBf16 = DType::BF16, kU4 = DType::U4;
  std::vector<QuantCase> cases;
  for (bool four : {false, true}) {
    std::string prefix = four ? "w4a16_" : "w8a8_";
    auto add = [&](std::string name, QuantCase c) {
      c.name = prefix + name;
      if (four) c.codes = kU4, c.group = 32, c.x_codes = "", c.scales = DType::F16;
      cases.push_back(std::move(c));
    };
    add("no_rows", {.name = "", .rows = 0, .in = 40, .out = 5, .bucket_rows = 64});
    add("in_bucket", {.name = "", .rows = 3, .in = 63, .out = 65, .bucket_rows = 300});
    add("one_row_in_bucket",
        {.name = "", .rows = 1, .in = 64, .out = 64, .bias = true, .bucket_rows = 2048});
    add("many_in_bucket", {.name = "", .rows = 30, .in = 64, .out = 64, .bucket_rows = 2048});
    add("bias_residual",
        {.name = "", .rows = 17, .in = 65, .out = 33, .bias = true, .residual = true});
    add("strided", {.name = "",
                    .rows = 7,
                    .in = 40,
                    .out = 20,
                    .x = kBf16,
                    .y = kBf16,
                    .residual = true,
                    .layout = Layout::StridedRows});
    add("silu_bf16_out", {.name = "",
                          .rows = 6,
                          .in = 48,
                          .out = 37,
                          .x = kBf16,
                          .y = kBf16,
                          .bias = true,
                          .activation = "silu"});
    add("gelu_f32",
        {.name = "", .rows = 1, .in = 48, .out = 37, .x = kF32, .activation = "gelu_tanh"});
  }
  return cases;
}

TEST(Conformance, QuantisedLinear) {
  Suite suite{.op = "quantised_linear", .cases = {}, .bounds = bounds, .check = {}};
  for (const QuantCase& c : shape_cases()) suite.cases.push_back(make_case(c));
  for (const QuantCase& c : form_cases()) suite.cases.push_back(make_case(c));
  run_suite(suite);
}

// Rows of x that are all zeros, next to nothing, and at the edge of f32 among ordinary ones.
TEST(Conformance, QuantisedLinearOfExtremeRows) {
  Suite suite{.op = "quantised_linear", .cases = {}, .bounds = bounds, .check = {}};
  for (const QuantCase& c : {QuantCase{"extreme", 6, 70, 40},
                             QuantCase{"extreme_many", 40, 70, 40, DType::U8, 0, true}}) {
    Case test_case = make_case(c);
    float* x = test_case.inputs[0].view.as<float>();
    for (int64_t i = 0; i < c.in; ++i) {
      x[0 * c.in + i] = 0;
      x[1 * c.in + i] *= 0x1p-120f;
      x[2 * c.in + i] *= 0x1p-90f;
      x[3 * c.in + i] *= 1e30f;
    }
    suite.cases.push_back(std::move(test_case));
  }
  run_suite(suite);
}

// All codes at their ends, over as many inputs as a row may have: sums of integers within a few
// thousandths of what 32 bits hold, and pairs of products that pass 16 bits.
TEST(Conformance, QuantisedLinearOfLargestCodes) {
  Suite suite{.op = "quantised_linear", .cases = {}, .bounds = bounds, .check = {}};
  for (int64_t rows : {1, 9}) {
    QuantCase c{"largest", rows, ops::kMostQuantisedInputs, 32, DType::U8, 0, true};
    Case test_case = make_case(c);
    float* x = test_case.inputs[0].view.as<float>();
    for (int64_t i = 0; i < rows * c.in; ++i) x[i] = i / c.in % 2 ? -1.0f : 1.0f;
    std::memset(test_case.inputs[1].view.data, 0xFF, test_case.inputs[1].view.bytes());
    std::memset(test_case.inputs[3].view.data, 0, test_case.inputs[3].view.bytes());
    suite.cases.push_back(std::move(test_case));
  }
  run_suite(suite);
}

// A row of x that is not finite gives no finite number, and the rows beside it their own.
TEST(Conformance, QuantisedLinearOfRowsThatAreNotFinite) {
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), -INFINITY}) {
    QuantCase c{"not_finite", 3, 70, 40};
    Suite suite{.op = "quantised_linear", .cases = {}, .bounds = bounds, .check = {}};
    suite.check = [](const Case&, std::span<const TensorView> outputs) {
      std::vector<std::string> problems;
      std::vector<double> y = values_of(outputs[0]);
      for (size_t i = 0; i < y.size(); ++i) {
        if (std::isnan(y[i]) != (i / 40 == 1)) problems.push_back("element " + std::to_string(i));
      }
      return problems;
    };
    suite.cases.push_back(make_case(c));
    suite.cases.back().inputs[0].view.as<float>()[75] = bad;
    run_suite(suite);
  }
}

TEST(QuantisedLinear, RefusesComponentsThatDoNotFit) {
  auto infer = [](const Case& test_case) {
    std::vector<ValueType> types;
    std::vector<const ValueType*> pointers;
    for (const Operand& input : test_case.inputs)
      types.push_back({input.view.dtype, to_shape(input.view.extents), {}});
    for (size_t i = 0; i < types.size(); ++i)
      pointers.push_back(test_case.inputs[i].present ? &types[i] : nullptr);
    ops::InferContext context(test_case.attributes, pointers, {}, 1);
    ops::QuantisedLinear::infer(context);
  };
  QuantCase c{"fits", 2, 64, 40, DType::U4, 32, true, ""};
  EXPECT_NO_THROW(infer(make_case(c)));
  for (const auto& [name, value] :
       std::vector<std::pair<std::string, ops::Attribute>>{{"out", int64_t{65}},
                                                           {"in", int64_t{128}},
                                                           {"group", int64_t{64}},
                                                           {"group", int64_t{33}},
                                                           {"x_codes", std::string("i4")},
                                                           {"out", int64_t{0}},
                                                           {"in", int64_t{1} << 40}}) {
    Case wrong = make_case(c);
    wrong.attributes.set(name, value);
    EXPECT_THROW(infer(wrong), Error) << name;
  }
  Case swapped = make_case(c);
  std::swap(swapped.inputs[2], swapped.inputs[3]);
  EXPECT_THROW(infer(swapped), Error);
}

}  // namespace
}  // namespace tenon::conformance
