#include "ops/glu.h"

#include <gtest/gtest.h>

#include <cmath>

#include "conformance.h"
#include "tolerance.h"

namespace tenon::conformance {
namespace {

// The activation's error times the other half, and u |y| for the product.
Bounds bounds(const Case& test_case, const Exact& exact) {
  std::string kind = ops::read_attributes<ops::Glu>(test_case.attributes).kind;
  std::vector<double> x = values_of(test_case.inputs[0]);
  int64_t half = exact.outputs[0].view().columns();
  Bounds bounds(1);
  for (int64_t i = 0; i < exact.outputs[0].count(); ++i) {
    const double* row = x.data() + i / half * 2 * half;
    bounds[0].push_back(unary_error(kind, row[i % half]) * std::fabs(row[half + i % half]) +
                        kUnit * std::fabs(exact.outputs[0].as<double>()[i]));
  }
  return bounds;
}

Case make_case(const std::string& kind, DType x, DType y, const Extents& extents,
               Layout layout = Layout::Contiguous) {
  std::string name = kind + "_" + std::string(dtype_name(x)) + "_" + std::string(dtype_name(y)) +
                     extents.to_string() + (layout == Layout::StridedRows ? "_strided" : "");
  Random random(name);
  Case result{name, ops::to_attributes(ops::Glu{kind, std::string(dtype_name(y))}), {}};
  result.inputs.push_back(random_floats(random, x, extents, {.spread = 2, .layout = layout}));
  return result;
}

TEST(Conformance, Glu) {
  Suite suite{.op = "glu", .cases = {}, .bounds = bounds, .check = {}};
  constexpr DType kTypes[] = {DType::F32, DType::BF16, DType::F16};
  for (std::string_view kind : ops::kUnaryKinds) {
    for (DType x : kTypes) {
      for (DType y : kTypes) {
        suite.cases.push_back(make_case(std::string(kind), x, y, {3, 126}));
        suite.cases.push_back(make_case(std::string(kind), x, y, {3, 128}));
      }
    }
  }
  for (const Extents& extents : {Extents{1, 2}, Extents{17, 6}, Extents{1, 34}, Extents{5, 254},
                                 Extents{0, 64}, Extents{2, 3, 66}, Extents{64, 128}}) {
    suite.cases.push_back(make_case("silu", DType::F32, DType::F32, extents));
    suite.cases.push_back(make_case("gelu_tanh", DType::BF16, DType::BF16, extents));
  }
  suite.cases.push_back(make_case("silu", DType::F32, DType::F32, {7, 66}, Layout::StridedRows));
  suite.cases.push_back(make_case("silu", DType::BF16, DType::F32, {7, 66}, Layout::StridedRows));
  run_suite(suite);
}

}  // namespace
}  // namespace tenon::conformance
