#include "ops/fused.h"

#include <gtest/gtest.h>

#include <cmath>

#include "conformance.h"
#include "fused_cases.h"
#include "ops/kinds.h"
#include "tolerance.h"

namespace tenon::conformance {
namespace {

using ops::Expression;

// Where an input holds the element of the output at flat index `index`, row by row.
int64_t source_index(const Extents& own, const Extents& out, int64_t index) {
  int64_t result = 0, step = 1;
  for (int axis = out.rank() - 1; axis >= 0; --axis) {
    int64_t at = index % out[axis];
    index /= out[axis];
    int mine = axis - (out.rank() - own.rank());
    if (mine < 0) continue;
    if (own[mine] != 1) result += at * step;
    step *= own[mine];
  }
  return result;
}

// A value with what f32 may have made of it by now.
struct Uncertain {
  double value, error;
};

// One operation on uncertain operands: what their errors become, and one rounding of the result.
Uncertain combine(std::string_view kind, Uncertain a, Uncertain b) {
  double value = 0, error = 0;
  if (kind == "add" || kind == "sub") {
    value = kind == "add" ? a.value + b.value : a.value - b.value;
    error = a.error + b.error;
  } else if (kind == "mul") {
    value = a.value * b.value;
    error = std::fabs(a.value) * b.error + std::fabs(b.value) * a.error + a.error * b.error;
  } else {
    value = a.value / b.value;
    error = (a.error + std::fabs(value) * b.error) / (std::fabs(b.value) - b.error);
  }
  return {value, error + kUnit * (std::fabs(value) + error)};
}

Uncertain apply(std::string_view kind, Uncertain x) {
  Case one{"", ops::to_attributes(ops::Fused{std::string(kind) + "(x0)", "f32"}), {}};
  one.inputs.push_back(floats(DType::F32, {1}, std::vector<double>{x.value}));
  // The operand is f32 here, the value may be finer: half a unit more of argument error.
  double rounding = kUnit * std::fabs(x.value);
  double value = values_of(compute_exact("fused", one).outputs[0].view())[0];
  double slope = unary_slope(kind, x.value);
  return {value, slope * (x.error + 2 * rounding) + unary_error(kind, x.value)};
}

Uncertain evaluate(const Expression& expression, const std::vector<double>& x) {
  std::vector<Uncertain> stack;
  for (const Expression::Step& step : expression.steps) {
    if (step.op == Expression::Op::Input) {
      stack.push_back({x[step.index], 0});
    } else if (step.op == Expression::Op::Number) {
      stack.push_back({static_cast<float>(step.number), 0});
    } else if (step.op == Expression::Op::Unary) {
      stack.back() = apply(ops::kUnaryKinds[step.index], stack.back());
    } else {
      Uncertain b = stack.back();
      stack.pop_back();
      stack.back() = combine(ops::kBinaryKinds[step.index], stack.back(), b);
    }
  }
  return stack.at(0);
}

}  // namespace

// Carried through the expression element by element.
Bounds fused_bounds(const Case& test_case, const Exact& exact) {
  auto op = ops::read_attributes<ops::Fused>(test_case.attributes);
  Expression expression = Expression::parse(op.expression);
  std::vector<std::vector<double>> inputs;
  for (const Operand& input : test_case.inputs) inputs.push_back(values_of(input));
  const TensorView& y = exact.outputs[0].view();
  Bounds bounds(1);
  std::vector<double> x(inputs.size());
  for (int64_t i = 0; i < y.count(); ++i) {
    for (size_t input = 0; input < x.size(); ++input) {
      x[input] = inputs[input][source_index(test_case.inputs[input].view.extents, y.extents, i)];
    }
    bounds[0].push_back(kSlack * evaluate(expression, x).error);
  }
  return bounds;
}

TEST(Conformance, Fused) {
  Suite suite{.op = "fused", .cases = fused_cases(), .bounds = fused_bounds, .check = {}};
  run_suite(suite);
}

}  // namespace tenon::conformance
