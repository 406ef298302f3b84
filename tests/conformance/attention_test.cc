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
};

Case make_case(const AttentionCase& c, DType dtype, DType out) {
  std::string name =
      c.name + "_" + std::string(dtype_name(dtype)) + "_" + std::string(dtype_name(out));
  Random random(name);
  ops::Attention op{c.heads,
                    c.head_dim,
                    c.grid_h,
                    c.grid_w,
                    1 / std::sqrt(static_cast<double>(c.head_dim)),
                    std::string(dtype_name(out))};
  Case result{name, ops::to_attributes(op), {}};
  int64_t width = c.heads * c.head_dim, kv_batch = c.kv_batch ? c.kv_batch : c.batch;
  result.inputs.push_back(random_floats(random, dtype,
                                        {c.q_batch ? c.q_batch : c.batch, c.queries, width},
                                        {.spread = c.spread, .layout = c.layout}));
  for (int i = 0; i < 2; ++i) {
    result.inputs.push_back(
        random_floats(random, dtype, {kv_batch, c.keys, width}, {.layout = c.layout}));
  }
  if (c.grid_h > 0) {
    for (int64_t side : {c.grid_h, c.grid_w}) {
      result.inputs.push_back(
          random_floats(random, dtype, {2 * side - 1, c.head_dim}, {.spread = 0.3}));
    }
  }
  return result;
}

// One query of one head. The derivation is paged_attention_test.cc's: the error e of a score is
// (D + 2) u of the magnitudes that make it, relative positions included; a softmax weight then is
// off by e + u |z - m| + rescales; numerator and denominator are sums of n terms.
struct HeadBound {
  std::vector<double> weights, errors;
  double mean_error = 0;

  void finish() {
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

HeadBound bound_of(const Case& test_case, const Values& values, int64_t batch, int64_t query,
                   int64_t head) {
  auto op = ops::read_attributes<ops::Attention>(test_case.attributes);
  const Extents &q = test_case.inputs[0].view.extents, &k = test_case.inputs[1].view.extents;
  int64_t width = q[2], kv_batch = k[0] == 1 ? 0 : batch, q_batch = q[0] == 1 ? 0 : batch;
  const double* row = &values.parts[0][(q_batch * q[1] + query) * width + head * op.head_dim];
  HeadBound result;
  for (int64_t key = 0; key < k[1]; ++key) {
    const double* other = &values.parts[1][(kv_batch * k[1] + key) * width + head * op.head_dim];
    double z = 0, magnitude = 0;
    auto add = [&](const double* with, double factor) {
      for (int64_t dim = 0; dim < op.head_dim; ++dim) {
        z += factor * row[dim] * with[dim];
        magnitude += factor * std::fabs(row[dim] * with[dim]);
      }
    };
    add(other, op.scale);
    if (values.parts.size() > 3) {
      int64_t down = query / op.grid_w - key / op.grid_w + op.grid_h - 1;
      int64_t right = query % op.grid_w - key % op.grid_w + op.grid_w - 1;
      add(&values.parts[3][down * op.head_dim], 1);
      add(&values.parts[4][right * op.head_dim], 1);
    }
    result.weights.push_back(z);
    result.errors.push_back(static_cast<double>(op.head_dim + 4) * kUnit * magnitude +
                            kUnit * std::fabs(z));
  }
  result.finish();
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
        for (int64_t dim = 0; dim < op.head_dim; ++dim) {
          double bound = 0, result = 0;
          for (int64_t key = 0; key < k[1]; ++key) {
            int64_t from = (k[0] == 1 ? 0 : batch) * k[1] + key;
            double v = values.parts[2][from * q[2] + head * op.head_dim + dim];
            bound += of.weights[key] * std::fabs(v) * (of.errors[key] + of.mean_error);
            result += of.weights[key] * v;
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
      {"long", 1, 5, 1100, 2, 16},
      {"no_batch", 0, 5, 5, 1, 8},
      {"no_queries", 2, 0, 5, 1, 8},
  };
  const DType types[][2] = {{DType::F32, DType::F32},
                            {DType::BF16, DType::BF16},
                            {DType::F16, DType::F16},
                            {DType::BF16, DType::F32}};
  Suite suite{.op = "attention", .cases = {}, .bounds = bounds, .check = {}};
  for (const auto& type : types) {
    for (const AttentionCase& form : forms) {
      suite.cases.push_back(make_case(form, type[0], type[1]));
    }
  }
  run_suite(suite);
}

}  // namespace
}  // namespace tenon::conformance
