#include "passes/rewrite.h"

#include <algorithm>

namespace tenon::passes {

ir::NodeId producer_of(const ir::Graph& graph, ir::ValueId id, std::string_view op) {
  if (id == ir::kNone) return ir::kNone;
  ir::NodeId producer = graph.value(id).producer;
  return producer != ir::kNone && graph.node(producer).op == op ? producer : ir::kNone;
}

bool is_only_for(const ir::Graph& graph, ir::ValueId id, ir::NodeId user) {
  const std::vector<ir::NodeId>& users = graph.users(id);
  return users.size() == 1 && users[0] == user && !graph.is_output(id);
}

std::string dtype_attribute_for(DType wanted, DType follows) {
  return wanted == follows ? "" : std::string(dtype_name(wanted));
}

void inherit_names(ir::Graph& graph, ir::ValueId to, ir::ValueId from) {
  if (to == from) return;
  std::vector<std::string>& names = graph.value(to).names;
  for (const std::string& name : graph.value(from).names) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
}

std::vector<ir::ValueId> fuse_into(ir::Graph& graph, ir::NodeId at, const ir::NodeSpec& spec,
                                   ir::ValueId root, std::initializer_list<ir::ValueId> removed) {
  std::vector<ir::ValueId> outputs = graph.replace_node(at, spec);
  std::vector<std::string> names = graph.value(root).names;
  // Without a name of its own the result must not pass for one of the values that are gone.
  if (names.empty() && !spec.module.empty()) names.push_back(spec.module + ".fused");
  graph.replace_uses(root, outputs.at(0));
  graph.value(outputs[0]).names = std::move(names);
  for (ir::ValueId id : removed) inherit_names(graph, outputs[0], id);
  return outputs;
}

}  // namespace tenon::passes
