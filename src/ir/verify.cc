#include <string>
#include <vector>

#include "base/error.h"
#include "ir/graph.h"

namespace tenon::ir {
namespace {

[[noreturn]] void broken(const Graph& graph, const Node& node, std::string_view rule) {
  throw Error(ErrorCode::Internal, rule).at("graph " + graph.name()).at(node.module).at(node.op);
}

void verify_ports(const Graph& graph, const Node& node, const ops::OpDef& def) {
  bool variadic = !def.inputs.empty() && def.inputs.back().kind == ops::PortKind::Variadic;
  if (!variadic && node.inputs.size() != def.inputs.size())
    broken(graph, node, "wrong number of inputs");
  size_t required_outputs = 0;
  for (const ops::Port& port : def.outputs)
    required_outputs += port.kind == ops::PortKind::Required;
  if (node.outputs.size() < required_outputs || node.outputs.size() > def.outputs.size()) {
    broken(graph, node, "wrong number of outputs");
  }
  for (size_t i = 0; i < node.inputs.size() && i < def.inputs.size(); ++i) {
    ops::PortKind kind = def.inputs[i].kind;
    bool absent = node.inputs[i] == kNone;
    if (absent && (kind == ops::PortKind::Required || kind == ops::PortKind::State)) {
      broken(graph, node, "required input is absent");
    }
    bool is_state = !absent && graph.value(node.inputs[i]).kind == ValueKind::State;
    if (!absent && is_state != (kind == ops::PortKind::State))
      broken(graph, node, "state given to a wrong port");
  }
}

void verify_types(const Graph& graph, const Node& node, const ops::OpDef& def) {
  std::vector<const ValueType*> types;
  for (ValueId id : node.inputs) types.push_back(id == kNone ? nullptr : &graph.value(id).type);
  ops::InferContext context(node.attributes, std::move(types), {}, node.outputs.size());
  def.infer(context);
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (!(context.outputs()[i] == graph.value(node.outputs[i]).type)) {
      broken(graph, node,
             "output type differs from the shape rule: " +
                 to_string(graph.value(node.outputs[i]).type) + " instead of " +
                 to_string(context.outputs()[i]));
    }
  }
}

}  // namespace

void verify(const Graph& graph) {
  std::vector<bool> defined(graph.values().size(), false);
  for (size_t i = 0; i < graph.values().size(); ++i) {
    const Value& value = graph.values()[i];
    defined[i] = value.kind != ValueKind::Intermediate;
    TENON_CHECK(value.kind != ValueKind::Constant || value.recipe.has_value());
  }
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    const ops::OpDef& def = graph.catalogue().at(node.op, node.version);
    verify_ports(graph, node, def);
    for (ValueId id : node.inputs) {
      if (id != kNone && !defined.at(id)) broken(graph, node, "value is used before it is defined");
    }
    for (ValueId id : node.outputs) {
      if (defined.at(id)) broken(graph, node, "value is defined twice");
      if (graph.value(id).producer != static_cast<NodeId>(i))
        broken(graph, node, "producer is out of date");
      defined[id] = true;
    }
    verify_types(graph, node, def);
  }
  for (ValueId id : graph.outputs()) TENON_CHECK(defined.at(id));
}

}  // namespace tenon::ir
