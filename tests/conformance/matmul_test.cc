#include "ops/matmul.h"

#include <gtest/gtest.h>

#include <cmath>

#include "conformance.h"
#include "tolerance.h"

namespace tenon::conformance {
namespace {

struct MatmulCase {
  Extents batch;
  int64_t m, n, k;
  bool transpose_b;
  DType a = DType::F32, b = DType::F32, y = DType::F32;
  Layout layout = Layout::Contiguous;
};

Extents with_matrix(Extents batch, int64_t rows, int64_t columns) {
  batch.push_back(rows);
  batch.push_back(columns);
  return batch;
}

Case make_case(const MatmulCase& c) {
  std::string name = c.batch.to_string() + "_" + std::to_string(c.m) + "x" + std::to_string(c.n) +
                     "x" + std::to_string(c.k) + (c.transpose_b ? "_bt_" : "_") +
                     std::string(dtype_name(c.a)) + "_" + std::string(dtype_name(c.b)) + "_" +
                     std::string(dtype_name(c.y)) +
                     (c.layout == Layout::StridedRows ? "_strided" : "");
  Random random(name);
  Case result{
      name, ops::to_attributes(ops::Matmul{c.transpose_b, std::string(dtype_name(c.y))}), {}};
  Extents b = c.transpose_b ? with_matrix(c.batch, c.n, c.k) : with_matrix(c.batch, c.k, c.n);
  Fill fill{.spread = 1 / std::sqrt(static_cast<double>(c.k)), .layout = c.layout};
  result.inputs.push_back(
      random_floats(random, c.a, with_matrix(c.batch, c.m, c.k), {.layout = c.layout}));
  result.inputs.push_back(random_floats(random, c.b, b, fill));
  return result;
}

// (k + 1) u sum |a b|.
Bounds bounds(const Case& test_case, const Exact& exact) {
  auto op = ops::read_attributes<ops::Matmul>(test_case.attributes);
  std::vector<double> a = values_of(test_case.inputs[0]), b = values_of(test_case.inputs[1]);
  const Extents &a_sizes = test_case.inputs[0].view.extents, &y = exact.outputs[0].extents();
  int rank = a_sizes.rank();
  int64_t m = y[rank - 2], n = y[rank - 1], k = a_sizes[rank - 1];
  Bounds bounds(1);
  for (int64_t i = 0; i < exact.outputs[0].count(); ++i) {
    int64_t column = i % n, row = i / n % m, batch = i / n / m;
    double magnitude = 0;
    for (int64_t at = 0; at < k; ++at) {
      int64_t in_b = op.transpose_b ? column * k + at : at * n + column;
      magnitude += std::fabs(a[(batch * m + row) * k + at] * b[batch * k * n + in_b]);
    }
    bounds[0].push_back(static_cast<double>(k + 1) * kUnit * magnitude);
  }
  return bounds;
}

TEST(Conformance, Matmul) {
  Suite suite{.op = "matmul", .cases = {}, .bounds = bounds, .check = {}};
  const int64_t shapes[][3] = {{1, 1, 1},    {3, 17, 63},  {4, 257, 32}, {17, 5, 127},
                               {64, 64, 64}, {1, 300, 16}, {9, 4, 200}};
  for (DType dtype : {DType::F32, DType::BF16, DType::F16}) {
    for (const auto& shape : shapes) {
      for (bool transpose_b : {false, true}) {
        MatmulCase form{{}, shape[0], shape[1], shape[2], transpose_b, dtype, dtype, dtype};
        suite.cases.push_back(make_case(form));
        form.batch = {3}, form.y = DType::F32;
        suite.cases.push_back(make_case(form));
        form.batch = {2, 2}, form.layout = Layout::StridedRows;
        suite.cases.push_back(make_case(form));
      }
    }
  }
  suite.cases.push_back(make_case({{2}, 4, 300, 32, true, DType::F32, DType::F16, DType::F32}));
  suite.cases.push_back(make_case({{2}, 8, 70, 64, true, DType::F32, DType::BF16, DType::F32}));
  suite.cases.push_back(make_case({{0}, 3, 5, 7, true}));
  suite.cases.push_back(make_case({{2}, 0, 5, 7, false}));
  run_suite(suite);
}

}  // namespace
}  // namespace tenon::conformance
