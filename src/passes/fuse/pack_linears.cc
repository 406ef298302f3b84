#include "passes/fuse/pack_linears.h"

#include <algorithm>

#include "base/text.h"
#include "ops/linear.h"
#include "passes/rewrite.h"

namespace tenon::passes {
namespace {

constexpr size_t kWeight = 1, kBias = 2, kResidual = 3;

// Absent in all, or in each an unquantised constant of one element type.
bool stacks(const ir::Graph& graph, std::span<const ir::NodeId> linears, size_t port) {
  ir::ValueId first = graph.node(linears[0]).inputs[port];
  for (ir::NodeId id : linears) {
    ir::ValueId input = graph.node(id).inputs[port];
    if ((input == ir::kNone) != (first == ir::kNone)) return false;
    if (input == ir::kNone) continue;
    const ir::Value& value = graph.value(input);
    if (value.kind != ir::ValueKind::Constant || value.type.quant) return false;
    if (value.type.dtype != graph.value(first).type.dtype) return false;
  }
  return true;
}

ir::ValueId stack_constants(ir::Graph& graph, std::span<const ir::NodeId> linears, size_t port,
                            const std::string& name) {
  const ir::Graph& before = graph;
  std::vector<Recipe> parts;
  std::vector<ir::ValueId> ids;
  for (ir::NodeId linear : linears) {
    ids.push_back(before.node(linear).inputs[port]);
    if (ids.back() == ir::kNone) return ir::kNone;
    parts.push_back(*before.value(ids.back()).recipe);
  }
  ir::ValueId stacked = graph.add_constant(name, Recipe::concat(std::move(parts), 0));
  for (ir::ValueId id : ids) inherit_names(graph, stacked, id);
  return stacked;
}

// A node without a module is known by its weight.
std::string module_of(const ir::Graph& graph, ir::NodeId linear) {
  const ir::Node& node = graph.node(linear);
  if (!node.module.empty()) return node.module;
  const std::vector<std::string>& names = graph.value(node.inputs[kWeight]).names;
  std::string name = names.empty() ? "linear" : names[0];
  return name.ends_with(".weight") ? name.substr(0, name.size() - 7) : name;
}

}  // namespace

bool can_pack_linears(const ir::Graph& graph, std::span<const ir::NodeId> linears) {
  for (size_t i = 0; i < linears.size(); ++i) {
    if (linears[i] == ir::kNone) return false;
    if (std::find(linears.begin(), linears.begin() + i, linears[i]) != linears.begin() + i) {
      return false;
    }
    const ir::Node &first = graph.node(linears[0]), &node = graph.node(linears[i]);
    ops::Linear op = op_of<ops::Linear>(node);
    if (node.inputs[0] != first.inputs[0] || node.inputs[kResidual] != ir::kNone) return false;
    if (!op.activation.empty() || op.dtype != op_of<ops::Linear>(first).dtype) return false;
  }
  return graph.node(linears[0]).inputs[kWeight] != ir::kNone && stacks(graph, linears, kWeight) &&
         stacks(graph, linears, kBias);
}

ir::ValueId pack_linears(ir::Graph& graph, std::span<const ir::NodeId> linears) {
  const ir::Graph& before = graph;
  std::vector<std::string> modules;
  std::vector<ir::ValueId> outputs;
  for (ir::NodeId id : linears) {
    modules.push_back(module_of(graph, id));
    outputs.push_back(before.node(id).outputs[0]);
  }
  std::string module = packed_module_name(modules);
  ir::ValueId weight = stack_constants(graph, linears, kWeight, module + ".weight");
  ir::ValueId bias = stack_constants(graph, linears, kBias, module + ".bias");
  const ir::Node& first = before.node(linears[0]);
  ir::NodeSpec spec{ops::Linear::kName, first.attributes, {first.inputs[0], weight, bias}, module};
  ir::ValueId packed = graph.replace_node(linears[0], spec).at(0);
  for (ir::ValueId id : outputs) inherit_names(graph, packed, id);
  return packed;
}

std::string packed_module_name(const std::vector<std::string>& modules) {
  size_t dot = modules[0].rfind('.');
  std::string parent = dot == std::string::npos ? "" : modules[0].substr(0, dot + 1);
  std::vector<std::string> leaves;
  for (const std::string& module : modules) leaves.push_back(module.substr(module.rfind('.') + 1));
  size_t underscore = leaves[0].rfind('_');
  std::string ending = underscore == std::string::npos ? "" : leaves[0].substr(underscore);
  bool shared = !ending.empty() && std::all_of(leaves.begin(), leaves.end(),
                                               [&](auto& leaf) { return leaf.ends_with(ending); });
  if (!shared) return parent + join(leaves, "_");
  bool letters = true;
  for (std::string& leaf : leaves) {
    leaf.resize(leaf.size() - ending.size());
    letters = letters && leaf.size() == 1;
  }
  return parent + join(leaves, letters ? "" : "_") + ending;
}

}  // namespace tenon::passes
