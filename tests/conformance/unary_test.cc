#include "ops/unary.h"

#include <gtest/gtest.h>

#include "conformance.h"
#include "tolerance.h"

namespace tenon::conformance {
namespace {

Bounds bounds(const Case& test_case, const Exact&) {
  std::string kind = ops::read_attributes<ops::Unary>(test_case.attributes).kind;
  Bounds bounds(1);
  for (double x : values_of(test_case.inputs[0])) bounds[0].push_back(unary_error(kind, x));
  return bounds;
}

Case make_case(const std::string& kind, DType x, DType y, const Extents& extents,
               const Fill& fill) {
  std::string name = kind + "_" + std::string(dtype_name(x)) + "_" + std::string(dtype_name(y)) +
                     extents.to_string() + (fill.layout == Layout::StridedRows ? "_strided" : "");
  Random random(name);
  Case result{name, ops::to_attributes(ops::Unary{kind, std::string(dtype_name(y))}), {}};
  result.inputs.push_back(random_floats(random, x, extents, fill));
  return result;
}

TEST(Conformance, Unary) {
  Suite suite{.op = "unary", .cases = {}, .bounds = bounds, .check = {}};
  constexpr DType kTypes[] = {DType::F32, DType::BF16, DType::F16};
  for (std::string_view view : ops::kUnaryKinds) {
    std::string kind(view);
    for (DType x : kTypes) {
      for (DType y : kTypes) {
        suite.cases.push_back(make_case(kind, x, y, {3, 63}, {.spread = 3}));
        suite.cases.push_back(make_case(kind, x, y, {3, 64}, {.spread = 3}));
      }
    }
    for (const Extents& extents :
         {Extents{1}, Extents{17, 1}, Extents{0, 8}, Extents{5, 257}, Extents{2, 3, 31}}) {
      suite.cases.push_back(make_case(kind, DType::F32, DType::F32, extents, {.spread = 2}));
    }
    suite.cases.push_back(
        make_case(kind, DType::BF16, DType::F32, {7, 40}, {.layout = Layout::StridedRows}));
    // Both tails: saturation, underflow and no NaN from inf * 0. f32 overflows in exp at 88.7.
    const double tails[] = {-1e4, -200, -100,  -90,    -88.5, -87.5, -30,  -10, -6,
                            -5.5, -5,   -1e-3, -1e-30, 0.0,   1e-30, 1e-3, 5.0, 5.5,
                            6,    10,   30.0,  80.0,   -0.84, 0.75,  -3.0, 1.5};
    Case extreme{kind + "_tails", ops::to_attributes(ops::Unary{kind, ""}), {}};
    extreme.inputs.push_back(floats(DType::F32, {std::ssize(tails)}, tails));
    suite.cases.push_back(std::move(extreme));
  }
  run_suite(suite);
}

}  // namespace
}  // namespace tenon::conformance
