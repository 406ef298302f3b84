#include "ops/binary.h"
#include "ops/linear.h"
#include "passes/pipeline.h"
#include "passes/rewrite.h"

namespace tenon::passes {
namespace {

constexpr size_t kResidual = 3;

// The linear that `linear_out + other` can move into, else kNone. `other` must be there before the
// linear: else the product would wait for a branch that the graph computes after it.
ir::NodeId host_of(const ir::Graph& graph, ir::NodeId add, ir::ValueId linear_out,
                   ir::ValueId other) {
  ir::NodeId linear = producer_of(graph, linear_out, ops::Linear::kName);
  if (linear == ir::kNone || graph.node(linear).inputs[kResidual] != ir::kNone) return ir::kNone;
  if (!is_only_for(graph, linear_out, add) || graph.value(other).producer >= linear) {
    return ir::kNone;
  }
  const Shape& shape = graph.value(linear_out).type.shape;
  bool broadcasts = !(graph.value(other).type.shape == shape);
  return broadcasts ? ir::kNone : linear;
}

bool fuse_add(ir::Graph& graph, ir::NodeId add) {
  const ir::Graph& before = graph;
  const ir::Node& sum = before.node(add);
  if (sum.op != ops::Binary::kName || op_of<ops::Binary>(sum).kind != "add") return false;
  ir::ValueId y = sum.outputs[0], linear_out = sum.inputs[0], residual = sum.inputs[1];
  ir::NodeId host = host_of(graph, add, linear_out, residual);
  if (host == ir::kNone) {
    std::swap(linear_out, residual);
    host = host_of(graph, add, linear_out, residual);
  }
  if (host == ir::kNone) return false;

  const ir::Node& linear = before.node(host);
  ops::Linear op = op_of<ops::Linear>(linear);
  op.dtype =
      dtype_attribute_for(before.value(y).type.dtype, before.value(linear.inputs[0]).type.dtype);
  ir::NodeSpec spec{ops::Linear::kName, ops::to_attributes(op), linear.inputs, linear.module};
  spec.inputs[kResidual] = residual;
  fuse_into(graph, add, spec, y, {linear_out});
  return true;
}

}  // namespace

// linear(x) + r becomes a linear with a residual: the sum is made where the product is written. The
// linear's activation comes before the residual by its contract, so it may have one.
size_t linear_residual(ir::Graph& graph, const PassOptions&) {
  size_t changes = 0;
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    changes += fuse_add(graph, static_cast<ir::NodeId>(i));
  }
  graph.erase_dead_nodes();
  return changes;
}

}  // namespace tenon::passes
