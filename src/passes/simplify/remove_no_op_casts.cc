#include "ops/cast.h"
#include "passes/pipeline.h"

namespace tenon::passes {

// Removes casts to the type a value has already. A cast that gives a graph output stays unless its
// input is an intermediate value that is no output itself: an output keeps a value and name of its
// own.
size_t remove_no_op_casts(ir::Graph& graph, const PassOptions&) {
  std::vector<ir::NodeId> casts;
  const ir::Graph& const_graph = graph;
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    const ir::Node& node = const_graph.nodes()[i];
    if (node.op != ops::Cast::kName) continue;
    ir::ValueId x = node.inputs[0], y = node.outputs[0];
    const ir::Value& input = const_graph.value(x);
    if (!(input.type == const_graph.value(y).type)) continue;
    bool free = input.kind == ir::ValueKind::Intermediate && !graph.is_output(x);
    if (graph.is_output(y) && !free) continue;
    graph.replace_uses(y, x);
    casts.push_back(static_cast<ir::NodeId>(i));
  }
  graph.erase_nodes(casts);
  return casts.size();
}

}  // namespace tenon::passes
