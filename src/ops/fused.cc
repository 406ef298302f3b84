#include "ops/fused.h"

namespace tenon::ops {
namespace {

// `shape` repeated against `with`, aligned at the last axis. Only what is certainly different is
// refused.
void broadcast(InferContext& context, Shape& shape, const Shape& with) {
  if (with.size() > shape.size()) shape.insert(shape.begin(), with.size() - shape.size(), Dim(1));
  for (size_t i = 0; i < with.size(); ++i) {
    Dim& dim = shape[shape.size() - with.size() + i];
    if (dim == Dim(1)) {
      dim = with[i];
    } else if (!(with[i] == Dim(1))) {
      context.need_equal(dim, with[i], "broadcast");
    }
  }
}

}  // namespace

void Fused::infer(InferContext& context) {
  Fused op = read_attributes<Fused>(context.attributes());
  Expression expression = Expression::parse(op.expression);
  if (static_cast<size_t>(expression.inputs) != context.input_count()) {
    throw Error(ErrorCode::BadInput, "expression and node differ in their inputs")
        .at(kName)
        .got(std::to_string(context.input_count()) + " inputs")
        .accepted(std::to_string(expression.inputs) + " of " + op.expression);
  }
  Shape shape;
  for (size_t i = 0; i < context.input_count(); ++i) {
    context.need_float(i, "x" + std::to_string(i));
    broadcast(context, shape, context.input(i).shape);
  }
  context.set_output(0, {dtype_attribute(op.dtype, context.input(0).dtype), shape, {}});
}

OpDef Fused::def() {
  OpDef def = define_op<Fused>({{"x", PortKind::Variadic}}, {{"y"}},
                               "y = expression(x0, x1, ...), broadcast");
  def.check_attributes = [](const Attributes& attributes) {
    Expression::parse(read_attributes<Fused>(attributes).expression);
  };
  return def;
}

}  // namespace tenon::ops
