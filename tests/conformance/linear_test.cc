#include "ops/linear.h"

#include <gtest/gtest.h>

#include <cmath>

#include "conformance.h"
#include "ops/kinds.h"
#include "tolerance.h"

namespace tenon::conformance {
namespace {

struct LinearCase {
  std::string name;
  int64_t rows, in, out;
  DType x = DType::F32, weight = DType::F32, y = DType::F32;
  std::string activation = {};
  DType bias = DType::Bool, residual = DType::Bool;  // Bool: none
  Layout layout = Layout::Contiguous;
  int64_t bucket_rows = 0;
};

Case make_case(const LinearCase& c) {
  Random random(c.name);
  Case result{
      c.name, ops::to_attributes(ops::Linear{c.activation, std::string(dtype_name(c.y))}), {}};
  int64_t bucket = c.bucket_rows ? c.bucket_rows : c.rows;
  double spread = 1 / std::sqrt(static_cast<double>(c.in));
  result.inputs.push_back(
      random_floats(random, c.x, {c.rows, c.in}, {.layout = c.layout}).in_bucket({bucket, c.in}));
  result.inputs.push_back(random_floats(random, c.weight, {c.out, c.in}, {.spread = spread}));
  result.inputs.push_back(c.bias == DType::Bool ? absent()
                                                : random_floats(random, c.bias, {c.out}));
  result.inputs.push_back(
      c.residual == DType::Bool
          ? absent()
          : random_floats(random, c.residual, {c.rows, c.out}, {.layout = c.layout})
                .in_bucket({bucket, c.out}));
  return result;
}

// (in + 2) u (sum |x w| + |bias|) for the sum, times the activation's slope, plus the activation
// itself, plus u |y| for the residual. Where x, weight and y are f16 the sum may be rounded to f16
// before the activation.
Bounds bounds(const Case& test_case, const Exact& exact) {
  ops::Linear op = ops::read_attributes<ops::Linear>(test_case.attributes);
  std::vector<double> x = values_of(test_case.inputs[0]), weight = values_of(test_case.inputs[1]);
  // A node may leave out trailing optional inputs altogether.
  std::vector<double> bias;
  if (test_case.inputs.size() > 2) bias = values_of(test_case.inputs[2]);
  bool all_f16 = op.dtype == "f16";
  for (size_t i = 0; i < 2; ++i) all_f16 = all_f16 && test_case.inputs[i].view.dtype == DType::F16;
  int64_t in = test_case.inputs[1].view.extents[1], out = test_case.inputs[1].view.extents[0];
  Bounds bounds(1);
  for (int64_t i = 0; i < exact.outputs[0].count(); ++i) {
    int64_t row = i / out, column = i % out;
    double sum = bias.empty() ? 0 : bias[column], magnitude = std::fabs(sum);
    for (int64_t k = 0; k < in; ++k) {
      double product = x[row * in + k] * weight[column * in + k];
      sum += product;
      magnitude += std::fabs(product);
    }
    double error = static_cast<double>(in + 2) * kUnit * magnitude;
    if (!op.activation.empty()) {
      if (all_f16) error += half_ulp(DType::F16, std::fabs(sum) + error);
      error = error * unary_slope(op.activation, sum) + unary_error(op.activation, sum);
    }
    bounds[0].push_back(error + kUnit * std::fabs(exact.outputs[0].as<double>()[i]));
  }
  return bounds;
}

std::vector<LinearCase> shape_cases() {
  std::vector<LinearCase> cases;
  const int64_t shapes[][3] = {{1, 1, 1},     {1, 3, 17},    {3, 17, 63},  {17, 63, 127},
                               {1, 127, 31},  {2, 64, 64},   {5, 128, 96}, {63, 33, 7},
                               {127, 5, 3},   {4, 256, 257}, {1, 512, 64}, {7, 8, 16},
                               {33, 100, 48}, {16, 16, 16},  {1, 1024, 5}};
  const DType types[][3] = {
      {DType::F32, DType::F32, DType::F32},   {DType::F32, DType::BF16, DType::F32},
      {DType::F32, DType::F16, DType::F32},   {DType::BF16, DType::BF16, DType::BF16},
      {DType::BF16, DType::BF16, DType::F32}, {DType::F16, DType::F16, DType::F16},
      {DType::BF16, DType::F16, DType::F32},  {DType::BF16, DType::F32, DType::F16}};
  for (const auto& type : types) {
    for (const auto& shape : shapes) {
      std::string name = std::string(dtype_name(type[0])) + "_" + std::string(dtype_name(type[1])) +
                         "_" + std::string(dtype_name(type[2])) + "_" + std::to_string(shape[0]) +
                         "x" + std::to_string(shape[1]) + "x" + std::to_string(shape[2]);
      cases.push_back({name, shape[0], shape[1], shape[2], type[0], type[1], type[2]});
    }
  }
  // Several stretches of columns and several tiles a block, whole and in part, up to 16 rows.
  const int64_t long_shapes[][3] = {{1, 4096, 1100}, {1, 1032, 2117}, {8, 2056, 24},
                                    {9, 1024, 40},   {16, 3000, 9},   {3, 11008, 17}};
  for (DType type : {DType::BF16, DType::F16}) {
    for (const auto& shape : long_shapes) {
      std::string name = std::string(dtype_name(type)) + "_long_" + std::to_string(shape[0]) + "x" +
                         std::to_string(shape[1]) + "x" + std::to_string(shape[2]);
      cases.push_back({name, shape[0], shape[1], shape[2], type, type, DType::F32, "", DType::F32,
                       shape[0] % 2 ? DType::F32 : DType::Bool});
    }
  }
  return cases;
}

// More than 128 rows, in whole and cut tiles, with everything that may follow the sum.
std::vector<LinearCase> tall_cases() {
  constexpr DType kF32 = DType::F32, kNone = DType::Bool;
  std::vector<LinearCase> cases;
  for (DType type : {DType::F16, DType::BF16}) {
    std::string name = "tall_" + std::string(dtype_name(type));
    auto add = [&](const char* form, int64_t rows, int64_t in, int64_t out, DType y,
                   const char* activation, DType bias, DType residual) {
      cases.push_back({name + form, rows, in, out, type, type, y, activation, bias, residual});
    };
    add("_129x64x8", 129, 64, 8, type, "", kNone, kNone);
    add("_200x72x136", 200, 72, 136, kF32, "", kF32, kF32);
    add("_385x200x328", 385, 200, 328, type, "", kF32, kNone);
    add("_257x1024x200", 257, 1024, 200, kF32, "", type, type);
    add("_1100x24x520", 1100, 24, 520, type, "", type, kNone);
    add("_gelu_erf", 260, 136, 264, type, "gelu_erf", type, kNone);
    add("_gelu_tanh", 260, 136, 264, type, "gelu_tanh", kF32, kNone);
    add("_quick_gelu", 140, 72, 168, type, "quick_gelu", kNone, kF32);
    add("_silu", 140, 72, 168, type, "silu", kNone, type);
    add("_relu", 140, 72, 168, type, "relu", kF32, type);
    add("_silu_f32", 140, 72, 168, kF32, "silu", kF32, kNone);
    // What cuBLASLt's products end with by themselves; 263 outputs: the last ones are made apart.
    for (const char* kind : {"gelu_tanh", "relu"}) {
      add((std::string("_whole_") + kind).c_str(), 260, 136, 263, type, kind, type, kNone);
      add((std::string("_whole_no_bias_") + kind).c_str(), 200, 72, 136, type, kind, kNone, kNone);
    }
  }
  for (LinearCase c : {cases[1], cases[6], cases[11]}) {
    c.name += "_slice", c.layout = Layout::StridedRows;
    cases.push_back(c);
  }
  return cases;
}

std::vector<LinearCase> form_cases() {
  constexpr DType kF32 = DType::F32, kBf16 = DType::BF16, kF16 = DType::F16;
  std::vector<LinearCase> cases = {
      {.name = "no_rows", .rows = 0, .in = 17, .out = 5, .bucket_rows = 64},
      {.name = "no_rows_residual", .rows = 0, .in = 17, .out = 5, .bias = kF32, .residual = kF32},
      {.name = "in_bucket", .rows = 3, .in = 63, .out = 65, .weight = kBf16, .bucket_rows = 127},
      {.name = "one_row_in_bucket",
       .rows = 1,
       .in = 64,
       .out = 64,
       .bias = kF32,
       .bucket_rows = 2048},
      {.name = "bias", .rows = 5, .in = 65, .out = 33, .bias = kF32},
      {.name = "bias_bf16", .rows = 5, .in = 65, .out = 33, .weight = kBf16, .bias = kBf16},
      {.name = "residual", .rows = 17, .in = 65, .out = 33, .residual = kF32},
      {.name = "one_row_bias_residual",
       .rows = 1,
       .in = 96,
       .out = 40,
       .weight = kBf16,
       .bias = kF16,
       .residual = kF32},
      {.name = "bf16_bias_residual",
       .rows = 9,
       .in = 31,
       .out = 29,
       .x = kBf16,
       .weight = kBf16,
       .y = kBf16,
       .bias = kBf16,
       .residual = kBf16},
      {.name = "bf16_residual_f32",
       .rows = 9,
       .in = 31,
       .out = 29,
       .x = kBf16,
       .weight = kF16,
       .y = kF32,
       .residual = kF32},
      {.name = "strided", .rows = 7, .in = 33, .out = 20, .layout = Layout::StridedRows},
      {.name = "strided_bf16_residual",
       .rows = 7,
       .in = 64,
       .out = 20,
       .x = kBf16,
       .weight = kBf16,
       .y = kBf16,
       .residual = kBf16,
       .layout = Layout::StridedRows},
  };
  for (std::string_view kind : ops::kUnaryKinds) {
    std::string name(kind);
    cases.push_back({.name = name, .rows = 6, .in = 48, .out = 37, .activation = name});
    cases.push_back({.name = name + "_bf16",
                     .rows = 1,
                     .in = 96,
                     .out = 40,
                     .x = kBf16,
                     .weight = kBf16,
                     .y = kF32,
                     .activation = name,
                     .bias = kF32,
                     .residual = kF32});
    cases.push_back({.name = name + "_f16",
                     .rows = 33,
                     .in = 96,
                     .out = 264,
                     .x = kF16,
                     .weight = kF16,
                     .y = kF16,
                     .activation = name,
                     .bias = kF16});
  }
  cases.push_back({.name = "f16_bias",
                   .rows = 70,
                   .in = 64,
                   .out = 136,
                   .x = kF16,
                   .weight = kF16,
                   .y = kF16,
                   .bias = kF16});
  return cases;
}

TEST(Conformance, Linear) {
  Suite suite{.op = "linear", .cases = {}, .bounds = bounds, .check = {}};
  for (const LinearCase& c : shape_cases()) suite.cases.push_back(make_case(c));
  for (const LinearCase& c : form_cases()) suite.cases.push_back(make_case(c));
  for (const LinearCase& c : tall_cases()) suite.cases.push_back(make_case(c));
  // x of rank 3: rows are batch x sequence.
  Random random("rank_3");
  Case rank_3{"rank_3", ops::to_attributes(ops::Linear{}), {}};
  rank_3.inputs.push_back(random_floats(random, DType::F32, {2, 5, 24}));
  rank_3.inputs.push_back(random_floats(random, DType::BF16, {18, 24}));
  suite.cases.push_back(std::move(rank_3));
  run_suite(suite);
}

}  // namespace
}  // namespace tenon::conformance
