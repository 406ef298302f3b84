#include "ops/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "conformance.h"
#include "tolerance.h"

namespace tenon::conformance {
namespace {

struct AttentionCase {
  std::string name;
  int64_t batch, queries, keys, heads, head_dim;
  int64_t kv_batch = 0;  // 0: batch
  int64_t grid_h = 0, grid_w = 0;
  Layout layout = Layout::Contiguous;
  double spread = 1.0;  // of q: large ones make the softmax sharp
  int64_t q_batch = 0;  // 0: batch
  int64_t window = 0;   // queries and keys are the cells of the grid
  bool pads = true;     // with a window: k and v beyond the grid are given
};

struct Types {
  DType q, k, v, out;
};

Case make_case(const AttentionCase& c, const Types& types) {
  DType dtype = types.q, out = types.out;
  std::string name =
      c.name + "_" + std::string(dtype_name(dtype)) + "_" + std::string(dtype_name(out));
  if (types.k != dtype) name += "_of_" + std::string(dtype_name(types.k));
  if (types.v != types.k) name += "_v_" + std::string(dtype_name(types.v));
  Random random(name);
  ops::Attention op{c.heads,
                    c.head_dim,
                    c.grid_h,
                    c.grid_w,
                    c.window,
                    1 / std::sqrt(static_cast<double>(c.head_dim)),
                    std::string(dtype_name(out))};
  Case result{name, ops::to_attributes(op), {}};
  int64_t width = c.heads * c.head_dim, kv_batch = c.kv_batch ? c.kv_batch : c.batch;
  result.inputs.push_back(random_floats(random, dtype,
                                        {c.q_batch ? c.q_batch : c.batch, c.queries, width},
                                        {.spread = c.spread, .layout = c.layout}));
  for (DType part : {types.k, types.v}) {
    result.inputs.push_back(
        random_floats(random, part, {kv_batch, c.keys, width}, {.layout = c.layout}));
  }
  if (c.grid_h > 0) {
    for (int64_t side : {c.grid_h, c.grid_w}) {
      side = c.window > 0 ? c.window : side;
      result.inputs.push_back(
          random_floats(random, dtype, {2 * side - 1, c.head_dim}, {.spread = 0.3}));
    }
  }
  for (int i = 0; c.window > 0 && c.pads && i < 2; ++i)
    result.inputs.push_back(random_floats(random, dtype, {width}));
  return result;
}

// One query of one head. The derivation is paged_attention_test.cc's: the error e of a score is
// (D + 2) u of the magnitudes that make it, relative positions included; a softmax weight then is
// off by e + u |z - m| + rescales; numerator and denominator are sums of n terms.
// Of f16 tensors weights may enter the second product rounded to f16, in units of the largest:
// relative 2^-11, or 2^-25 of the largest where they are subnormal. Only in the numerator.
struct HeadBound {
  std::vector<double> weights, errors, roundings;
  double mean_error = 0;

  void finish(bool rounds_weights) {
    auto n = static_cast<double>(weights.size());
    double largest = weights[0], smallest = weights[0], records = 8;
    for (double z : weights) {
      if (z > largest) ++records;
      largest = std::max(largest, z);
      smallest = std::min(smallest, z);
    }
    double common = kFunction + records * (kFunction + 2 * kUnit) + kUnit * (largest - smallest) +
                    (n + 2) * kUnit;
    double sum = 0;
    for (size_t i = 0; i < weights.size(); ++i) {
      errors[i] += common + kUnit * std::fabs(weights[i] - largest);
      sum += weights[i] = std::exp(weights[i] - largest);
      double subnormal = weights[i] > kSmallestNormal ? 0x1p-25 / weights[i] : 0;
      roundings.push_back(rounds_weights ? 0x1p-11 + subnormal : 0);
    }
    for (size_t i = 0; i < weights.size(); ++i) mean_error += (weights[i] /= sum) * errors[i];
  }
};

struct Values {
  explicit Values(const Case& test_case) {
    for (const Operand& input : test_case.inputs) parts.push_back(values_of(input));
  }
  std::vector<std::vector<double>> parts;
};

// A key of a query: a row of k and v, or -1 beyond the grid, and how far it lies above and to the
// left.
struct Key {
  int64_t row = 0, down = 0, right = 0;
};

std::vector<Key> keys_of(const ops::Attention& op, int64_t query, int64_t count) {
  std::vector<Key> keys;
  int64_t wide = std::max<int64_t>(op.grid_w, 1), y = query / wide, x = query % wide;
  for (int64_t i = 0; op.window == 0 && i < count; ++i)
    keys.push_back({i, y - i / wide, x - i % wide});
  for (int64_t i = 0; i < op.window * op.window; ++i) {
    int64_t down = y % op.window - i / op.window, right = x % op.window - i % op.window;
    bool inside = y - down < op.grid_h && x - right < op.grid_w;
    keys.push_back({inside ? (y - down) * wide + x - right : -1, down, right});
  }
  return keys;
}

// An element of k (port 1) or v (port 2) for one key and head; zeros beyond the grid where no pads
// are given.
struct KeyValues {
  const std::vector<double>& rows;
  const std::vector<double>* pad;
  int64_t first, width, column;
  KeyValues(const Values& values, size_t port, int64_t of_batch, int64_t row_width, int64_t at)
      : rows(values.parts[port]),
        pad(values.parts.size() > port + 4 ? &values.parts[port + 4] : nullptr),
        first(of_batch),
        width(row_width),
        column(at) {}
  double at(const Key& key, int64_t dim) const {
    if (key.row >= 0) return rows[(first + key.row) * width + column + dim];
    return pad ? (*pad)[column + dim] : 0.0;
  }
};

HeadBound bound_of(const Case& test_case, const Values& values, int64_t batch, int64_t query,
                   int64_t head) {
  auto op = ops::read_attributes<ops::Attention>(test_case.attributes);
  const Extents &q = test_case.inputs[0].view.extents, &k = test_case.inputs[1].view.extents;
  int64_t width = q[2], kv_batch = k[0] == 1 ? 0 : batch, q_batch = q[0] == 1 ? 0 : batch;
  const double* row = &values.parts[0][(q_batch * q[1] + query) * width + head * op.head_dim];
  HeadBound result;
  KeyValues keys(values, 1, kv_batch * k[1], width, head * op.head_dim);
  int64_t high = op.window > 0 ? op.window : op.grid_h;
  int64_t wide = op.window > 0 ? op.window : op.grid_w;
  for (const Key& key : keys_of(op, query, k[1])) {
    double z = 0, magnitude = 0;
    auto add = [&](double product) {
      z += product;
      magnitude += std::fabs(product);
    };
    for (int64_t dim = 0; dim < op.head_dim; ++dim) {
      add(op.scale * row[dim] * keys.at(key, dim));
      if (values.parts.size() <= 3) continue;
      add(row[dim] * values.parts[3][(key.down + high - 1) * op.head_dim + dim]);
      add(row[dim] * values.parts[4][(key.right + wide - 1) * op.head_dim + dim]);
    }
    result.weights.push_back(z);
    result.errors.push_back(static_cast<double>(op.head_dim + 4) * kUnit * magnitude +
                            kUnit * std::fabs(z));
  }
  result.finish(test_case.inputs[0].view.dtype == DType::F16);
  return result;
}

Bounds bounds(const Case& test_case, const Exact& exact) {
  auto op = ops::read_attributes<ops::Attention>(test_case.attributes);
  Values values(test_case);
  const Extents &q = exact.outputs[0].extents(), &k = test_case.inputs[1].view.extents;
  Bounds bounds(1);
  for (int64_t batch = 0; batch < q[0]; ++batch) {
    for (int64_t query = 0; query < q[1]; ++query) {
      for (int64_t head = 0; head < op.heads; ++head) {
        HeadBound of = bound_of(test_case, values, batch, query, head);
        std::vector<Key> keys = keys_of(op, query, k[1]);
        KeyValues v(values, 2, (k[0] == 1 ? 0 : batch) * k[1], q[2], head * op.head_dim);
        for (int64_t dim = 0; dim < op.head_dim; ++dim) {
          double bound = 0, result = 0;
          for (size_t i = 0; i < keys.size(); ++i) {
            double value = v.at(keys[i], dim);
            bound +=
                of.weights[i] * std::fabs(value) * (of.errors[i] + of.mean_error + of.roundings[i]);
            result += of.weights[i] * value;
          }
          bounds[0].push_back(bound + kUnit * std::fabs(result));
        }
      }
    }
  }
  return bounds;
}

TEST(Conformance, Attention) {
  const std::vector<AttentionCase> forms = {
      {"one", 1, 1, 1, 1, 8},
      {"odd", 2, 5, 17, 3, 20},
      {"few_queries", 3, 7, 130, 2, 16},
      {"shared_keys", 4, 3, 33, 2, 32, 1},
      {.name = "shared_queries",
       .batch = 3,
       .queries = 9,
       .keys = 5,
       .heads = 2,
       .head_dim = 16,
       .q_batch = 1},
      {"many_queries", 1, 67, 9, 1, 16},
      {"hd64", 1, 33, 70, 2, 64},
      {"hd80", 1, 20, 65, 1, 80},
      {"hd128", 1, 3, 40, 1, 128},
      {"sharp", 1, 9, 90, 2, 32, 0, 0, 0, Layout::Contiguous, 8.0},
      {"strided", 2, 6, 31, 2, 24, 0, 0, 0, Layout::StridedRows},
      {"window", 2, 25, 25, 2, 16, 0, 5, 5},
      {"window_14", 1, 196, 196, 1, 64, 0, 14, 14},
      {"grid_3x7", 2, 21, 21, 1, 80, 0, 3, 7},
      {"grid_strided", 1, 24, 24, 2, 20, 0, 4, 6, Layout::StridedRows},
      {"two_chunks", 1, 576, 576, 1, 16, 0, 18, 32},
      {.name = "windows",
       .batch = 2,
       .queries = 35,
       .keys = 35,
       .heads = 2,
       .head_dim = 16,
       .grid_h = 7,
       .grid_w = 5,
       .window = 3},
      {.name = "windows_without_pads",
       .batch = 1,
       .queries = 16,
       .keys = 16,
       .heads = 1,
       .head_dim = 32,
       .grid_h = 4,
       .grid_w = 4,
       .window = 3,
       .pads = false},
      {.name = "windows_64",
       .batch = 1,
       .queries = 18 * 15,
       .keys = 18 * 15,
       .heads = 1,
       .head_dim = 64,
       .grid_h = 18,
       .grid_w = 15,
       .window = 14},
      {.name = "windows_80",
       .batch = 1,
       .queries = 9 * 14,
       .keys = 9 * 14,
       .heads = 2,
       .head_dim = 80,
       .grid_h = 9,
       .grid_w = 14,
       .spread = 4,
       .window = 14},
      {.name = "grid_64",
       .batch = 1,
       .queries = 192,
       .keys = 192,
       .heads = 2,
       .head_dim = 64,
       .grid_h = 3,
       .grid_w = 64},
      {.name = "grid_2x64",
       .batch = 1,
       .queries = 128,
       .keys = 128,
       .heads = 2,
       .head_dim = 64,
       .grid_h = 2,
       .grid_w = 64},
      {.name = "grid_4x64",
       .batch = 2,
       .queries = 256,
       .keys = 256,
       .heads = 1,
       .head_dim = 80,
       .grid_h = 4,
       .grid_w = 64},
      {.name = "grid_8x64",
       .batch = 1,
       .queries = 512,
       .keys = 512,
       .heads = 1,
       .head_dim = 80,
       .grid_h = 8,
       .grid_w = 64,
       .spread = 4},
      {"long", 1, 5, 1100, 2, 16},
      {"cells_to_tokens", 2, 300, 7, 8, 16},
      {.name = "cells_to_tokens_shared",
       .batch = 2,
       .queries = 257,
       .keys = 9,
       .heads = 4,
       .head_dim = 32,
       .q_batch = 1},
      {"cells_to_16_tokens", 1, 70, 16, 2, 48, 0, 0, 0, Layout::StridedRows, 8.0},
      {"cells_to_one_token", 3, 65, 1, 2, 16, 1},
      {"tokens_to_cells", 2, 9, 1300, 2, 16, 1},
      {"no_batch", 0, 5, 5, 1, 8},
      {"no_queries", 2, 0, 5, 1, 8},
  };
  using enum DType;
  const Types types[] = {{F32, F32, F32, F32},
                         {BF16, BF16, BF16, BF16},
                         {F16, F16, F16, F16},
                         {BF16, BF16, BF16, F32}};
  Suite suite{.op = "attention", .cases = {}, .bounds = bounds, .check = {}};
  for (const Types& type : types) {
    for (const AttentionCase& form : forms) {
      // An even number of rows of 64 cells is there for a kernel of 16 bits; else it only takes
      // time.
      if (type.q == F32 && form.grid_w == 64 && form.grid_h % 2 == 0) continue;
      suite.cases.push_back(make_case(form, type));
    }
  }
  for (const AttentionCase& form : forms) {
    if (form.grid_h > 0) continue;
    // Many cells of a picture in f16 look at a few tokens that stayed f32.
    if (form.queries > form.keys) suite.cases.push_back(make_case(form, {F16, F32, F32, F16}));
    // Tokens in bf16 look at cells whose q and k stayed f32.
    if (form.queries <= 16) suite.cases.push_back(make_case(form, {F32, F32, BF16, BF16}));
  }
  run_suite(suite);
}

}  // namespace
}  // namespace tenon::conformance
