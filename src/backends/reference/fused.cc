#include "ops/fused.h"

#include "backends/reference/access.h"
#include "backends/reference/functions.h"
#include "backends/reference/impl_list.h"
#include "ops/kinds.h"

namespace tenon::reference {
namespace {

using ops::Expression;

double combine(std::string_view kind, double a, double b) {
  if (kind == "add") return a + b;
  if (kind == "sub") return a - b;
  if (kind == "mul") return a * b;
  if (kind == "div") return a / b;
  throw Error(ErrorCode::Unsupported, "unknown kind").at("fused").got(kind);
}

// The expression at one element. Numbers count as f32, as on every device.
double evaluate(const Expression& expression, const std::vector<double>& x) {
  std::vector<double> stack;
  auto take = [&] {
    double value = stack.back();
    stack.pop_back();
    return value;
  };
  for (const Expression::Step& step : expression.steps) {
    switch (step.op) {
      case Expression::Op::Input:
        stack.push_back(x[step.index]);
        break;
      case Expression::Op::Number:
        stack.push_back(static_cast<float>(step.number));
        break;
      case Expression::Op::Unary:
        stack.back() = unary_function(ops::kUnaryKinds[step.index])(stack.back());
        break;
      case Expression::Op::Binary: {
        double b = take(), a = take();
        stack.push_back(combine(ops::kBinaryKinds[step.index], a, b));
        break;
      }
    }
  }
  return stack.at(0);
}

void run(const ops::RunArgs& args) {
  const Expression& expression = *static_cast<const Expression*>(args.prepared);
  const TensorView& y = args.outputs[0];
  std::vector<double> x(args.inputs.size());
  for (int64_t i = 0; i < y.count(); ++i) {
    for (size_t input = 0; input < x.size(); ++input) {
      const TensorView& view = args.inputs[input];
      x[input] = load(view, broadcast_offset(view, y.extents, i));
    }
    store(y, broadcast_offset(y, y.extents, i), evaluate(expression, x));
  }
}

}  // namespace

const ops::Implementation kFused = {
    .name = "fused__reference",
    .op = ops::Fused::kName,
    .supports =
        [](const ops::OpDesc& desc) {
          return support_floats(desc, {0, 1, 2, 3, 4, 5, 6, 7}, {0});
        },
    .prepare = [](const ops::OpDesc& desc) -> std::shared_ptr<const void> {
      return std::make_shared<const Expression>(
          Expression::parse(ops::read_attributes<ops::Fused>(*desc.attributes).expression));
    },
    .run = run,
};

}  // namespace tenon::reference
