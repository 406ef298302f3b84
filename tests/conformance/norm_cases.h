#pragma once

#include <string>
#include <vector>

#include "conformance.h"

namespace tenon::conformance {

// The two norms differ by a bias; everything else they are asked is the same.
struct NormCase {
  std::string name;
  Extents x_extents;
  DType x = DType::F32, weight = DType::F32, y = DType::F32;
  DType residual = DType::Bool;  // Bool: none
  bool sum = false;              // the second output is asked for
  Fill fill = {};
  int64_t bucket_rows = 0;
};

inline std::vector<NormCase> norm_cases() {
  constexpr DType kF32 = DType::F32, kBf16 = DType::BF16, kF16 = DType::F16;
  std::vector<NormCase> cases;
  for (int64_t columns : {1, 2, 3, 8, 17, 63, 64, 127, 256, 1031}) {
    for (int64_t rows : {1, 3, 17}) {
      std::string size = std::to_string(rows) + "x" + std::to_string(columns);
      cases.push_back({.name = "f32_" + size, .x_extents = {rows, columns}});
      cases.push_back({.name = "bf16_" + size,
                       .x_extents = {rows, columns},
                       .x = kBf16,
                       .weight = kBf16,
                       .y = kBf16});
      cases.push_back({.name = "residual_sum_" + size,
                       .x_extents = {rows, columns},
                       .residual = kF32,
                       .sum = true});
    }
  }
  // Whole vectors: a warp a row, a block a row, several vectors a thread, and too long for that.
  for (int64_t columns : {1024, 1032, 4096, 8200, 16392}) {
    std::string size = "3x" + std::to_string(columns);
    cases.push_back({.name = "stream_to_bf16_" + size,
                     .x_extents = {3, columns},
                     .y = kBf16,
                     .residual = kF32,
                     .sum = true});
    cases.push_back({.name = "bf16_" + size,
                     .x_extents = {3, columns},
                     .x = kBf16,
                     .weight = kBf16,
                     .y = kF16});
  }
  const std::vector<NormCase> forms = {
      {.name = "no_rows", .x_extents = {0, 64}, .residual = kF32, .sum = true, .bucket_rows = 32},
      {.name = "in_bucket", .x_extents = {3, 65}, .weight = kBf16, .y = kBf16, .bucket_rows = 127},
      {.name = "f16", .x_extents = {5, 63}, .x = kF16, .weight = kF16, .y = kF16},
      {.name = "f16_5x32", .x_extents = {5, 32}, .x = kF16, .y = kF16},
      {.name = "f16_71x64", .x_extents = {71, 64}, .x = kF16, .y = kF16},
      {.name = "f16_3x256", .x_extents = {3, 256}, .x = kF16, .y = kF16},
      {.name = "f16_in_bucket_64", .x_extents = {5, 64}, .x = kF16, .y = kF16, .bucket_rows = 99},
      {.name = "f32_to_f16_33x32", .x_extents = {33, 32}, .y = kF16},
      {.name = "f32_to_bf16", .x_extents = {5, 63}, .weight = kBf16, .y = kBf16},
      {.name = "bf16_weight_f32", .x_extents = {5, 63}, .x = kBf16, .y = kF32},
      {.name = "bf16_residual_f32_sum",
       .x_extents = {5, 63},
       .x = kBf16,
       .weight = kF16,
       .y = kF32,
       .residual = kF32,
       .sum = true},
      {.name = "bf16_residual_bf16_sum",
       .x_extents = {5, 96},
       .x = kBf16,
       .weight = kBf16,
       .y = kBf16,
       .residual = kBf16,
       .sum = true},
      {.name = "residual_no_sum", .x_extents = {5, 96}, .residual = kF32},
      {.name = "sum_no_residual", .x_extents = {5, 96}, .sum = true},
      {.name = "rank_1", .x_extents = {33}},
      {.name = "rank_3", .x_extents = {2, 3, 33}, .residual = kF32, .sum = true},
      {.name = "strided",
       .x_extents = {7, 65},
       .residual = kF32,
       .sum = true,
       .fill = {.layout = Layout::StridedRows}},
      {.name = "large_mean", .x_extents = {5, 127}, .fill = {.spread = 1.0, .offset = 100.0}},
      {.name = "large", .x_extents = {3, 64}, .fill = {.spread = 1e4}},
      {.name = "tiny", .x_extents = {3, 64}, .fill = {.spread = 1e-6}},
      {.name = "zeros", .x_extents = {3, 64}, .fill = {.spread = 0.0}},
      {.name = "constant", .x_extents = {3, 63}, .fill = {.spread = 0.0, .offset = 3.7}},
  };
  cases.insert(cases.end(), forms.begin(), forms.end());
  return cases;
}

// Pushes x and weight, and sets the output count.
inline void add_norm_inputs(Case& result, Random& random, const NormCase& c) {
  Extents bucket = c.x_extents;
  if (c.bucket_rows) bucket[0] = c.bucket_rows;
  result.inputs.push_back(random_floats(random, c.x, c.x_extents, c.fill).in_bucket(bucket));
  result.inputs.push_back(
      random_floats(random, c.weight, {c.x_extents.back()}, {.spread = 0.3, .offset = 1}));
  result.output_count = c.sum ? 2 : 1;
}

inline Operand norm_residual(Random& random, const NormCase& c) {
  if (c.residual == DType::Bool) return absent();
  Extents bucket = c.x_extents;
  if (c.bucket_rows) bucket[0] = c.bucket_rows;
  return random_floats(random, c.residual, c.x_extents, c.fill).in_bucket(bucket);
}

// s = x + residual, exact.
inline std::vector<double> norm_sum(const Case& test_case, size_t residual_index) {
  std::vector<double> s = values_of(test_case.inputs[0]),
                      r = values_of(test_case.inputs[residual_index]);
  for (size_t i = 0; i < r.size(); ++i) s[i] += r[i];
  return s;
}

}  // namespace tenon::conformance
