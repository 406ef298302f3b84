#include "ops/binary.h"
#include "ops/layer_norm.h"
#include "ops/rms_norm.h"
#include "passes/pipeline.h"
#include "passes/rewrite.h"

namespace tenon::passes {
namespace {

// The port of the residual where the node is a norm, else 0.
size_t residual_port(const ir::Node& node) {
  if (node.op == ops::RmsNorm::kName) return 2;
  return node.op == ops::LayerNorm::kName ? 3 : 0;
}

// Whether the norm can stand where the node `add` stands and take its sum over: what it reads
// besides must be there by then, which excludes a norm that takes the sum for its weight.
bool can_take(const ir::Graph& graph, const ir::Node& norm, ir::NodeId add) {
  size_t residual = residual_port(norm);
  if (residual == 0 || norm.outputs.size() != 1 || norm.inputs[residual] != ir::kNone) return false;
  for (size_t i = 1; i < residual; ++i) {
    if (norm.inputs[i] != ir::kNone && graph.value(norm.inputs[i]).producer >= add) return false;
  }
  return true;
}

// The first norm of the sum, else kNone.
ir::NodeId norm_of(const ir::Graph& graph, ir::NodeId add) {
  for (ir::NodeId user : graph.users(graph.node(add).outputs[0])) {
    if (can_take(graph, graph.node(user), add)) return user;
  }
  return ir::kNone;
}

bool fuse_add(ir::Graph& graph, ir::NodeId add) {
  const ir::Graph& before = graph;
  const ir::Node& sum = before.node(add);
  if (sum.op != ops::Binary::kName || op_of<ops::Binary>(sum).kind != "add") return false;
  ir::ValueId s = sum.outputs[0], x = sum.inputs[0], residual = sum.inputs[1];
  const ValueType& type = before.value(s).type;
  // The norm's sum has the type of its x.
  if (before.value(x).type.dtype != type.dtype) std::swap(x, residual);
  if (!(before.value(x).type == type)) return false;
  if (!(before.value(residual).type.shape == type.shape)) return false;
  ir::NodeId norm_id = norm_of(graph, add);
  if (norm_id == ir::kNone) return false;

  const ir::Node& norm = before.node(norm_id);
  ir::ValueId y = norm.outputs[0];
  bool sum_goes_on = !is_only_for(graph, s, norm_id);
  ir::NodeSpec spec{norm.op, norm.attributes, norm.inputs, norm.module, sum_goes_on ? 2u : 1u};
  spec.inputs[0] = x;
  spec.inputs[residual_port(norm)] = residual;
  // In place of the add, because other users of the sum may stand before the norm.
  std::vector<ir::ValueId> outputs = fuse_into(graph, add, spec, y, {});
  if (sum_goes_on) {
    graph.replace_uses(s, outputs[1]);
  } else {
    inherit_names(graph, outputs[0], s);
  }
  return true;
}

}  // namespace

// norm(a + r) becomes a norm with a residual, whose `sum` output other users of the sum read: the
// stream is read once. Runs after linear_residual, which spares the sum altogether.
size_t norm_residual(ir::Graph& graph, const PassOptions&) {
  size_t changes = 0;
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    changes += fuse_add(graph, static_cast<ir::NodeId>(i));
  }
  graph.erase_dead_nodes();
  return changes;
}

}  // namespace tenon::passes
