#include "ir/graph.h"

#include <algorithm>

#include "base/error.h"

namespace tenon::ir {

ValueId Graph::new_value(Value value) {
  values_.push_back(std::move(value));
  return static_cast<ValueId>(values_.size() - 1);
}

ValueId Graph::add_input(std::string name, ValueType type) {
  inputs_.push_back(new_value({ValueKind::Input, std::move(type), {std::move(name)}, std::nullopt, kNone}));
  return inputs_.back();
}

ValueId Graph::add_state(std::string name, ValueType type) {
  states_.push_back(new_value({ValueKind::State, std::move(type), {std::move(name)}, std::nullopt, kNone}));
  return states_.back();
}

ValueId Graph::add_constant(std::string name, Recipe recipe) {
  for (size_t i = 0; i < values_.size(); ++i) {
    Value& value = values_[i];
    if (value.kind != ValueKind::Constant || !(*value.recipe == recipe)) continue;
    if (std::find(value.names.begin(), value.names.end(), name) == value.names.end()) {
      value.names.push_back(std::move(name));
    }
    return static_cast<ValueId>(i);
  }
  ValueType type{recipe.dtype(), to_shape(recipe.extents()), {}};
  return new_value({ValueKind::Constant, std::move(type), {std::move(name)}, std::move(recipe), kNone});
}

std::vector<ValueType> Graph::infer(const Node& node, size_t outputs) const {
  const ops::OpDef& def = catalogue_->at(node.op, node.version);
  std::vector<const ValueType*> types;
  std::vector<const Tensor*> known;
  for (ValueId id : node.inputs) {
    types.push_back(id == kNone ? nullptr : &value(id).type);
    const Value* input = id == kNone ? nullptr : &value(id);
    known.push_back(input && input->recipe ? input->recipe->literal_value() : nullptr);
  }
  try {
    ops::InferContext context(node.attributes, std::move(types), std::move(known), outputs);
    def.infer(context);
    return context.outputs();
  } catch (Error& error) {
    error.within(node.op).within(node.module.empty() ? name_ : node.module);
    throw;
  }
}

std::vector<ValueId> Graph::insert_node(size_t position, const NodeSpec& spec) {
  Node node{std::string(spec.op), 1, spec.attributes, spec.inputs, {}, spec.module, {}};
  const ops::OpDef& def = catalogue_->at(node.op, node.version);
  bool variadic = !def.inputs.empty() && def.inputs.back().kind == ops::PortKind::Variadic;
  if (!variadic) node.inputs.resize(def.inputs.size(), kNone);
  for (ValueType& type : infer(node, spec.outputs)) {
    node.outputs.push_back(new_value({ValueKind::Intermediate, std::move(type), {}, std::nullopt, kNone}));
  }
  if (!node.outputs.empty() && !spec.module.empty()) value(node.outputs[0]).names.push_back(spec.module);
  std::vector<ValueId> outputs = node.outputs;
  nodes_.insert(nodes_.begin() + position, std::move(node));
  renumber_producers();
  return outputs;
}

void Graph::renumber_producers() {
  for (size_t i = 0; i < nodes_.size(); ++i) {
    for (ValueId id : nodes_[i].outputs) values_[id].producer = static_cast<NodeId>(i);
  }
}

void Graph::add_output(std::string name, ValueId id) {
  std::vector<std::string>& names = value(id).names;
  if (std::find(names.begin(), names.end(), name) == names.end()) names.insert(names.begin(), std::move(name));
  outputs_.push_back(id);
}

std::vector<NodeId> Graph::users(ValueId id) const {
  std::vector<NodeId> found;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    const auto& inputs = nodes_[i].inputs;
    if (std::find(inputs.begin(), inputs.end(), id) != inputs.end()) found.push_back(static_cast<NodeId>(i));
  }
  return found;
}

bool Graph::is_output(ValueId id) const {
  return std::find(outputs_.begin(), outputs_.end(), id) != outputs_.end();
}

void Graph::replace_uses(ValueId from, ValueId to) {
  for (Node& node : nodes_) std::replace(node.inputs.begin(), node.inputs.end(), from, to);
  std::replace(outputs_.begin(), outputs_.end(), from, to);
  for (const std::string& name : value(from).names) {
    std::vector<std::string>& names = value(to).names;
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
}

void Graph::erase_nodes(std::vector<NodeId> ids) {
  std::sort(ids.begin(), ids.end(), std::greater<>());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  for (NodeId id : ids) {
    for (ValueId output : nodes_[id].outputs) values_[output].producer = kNone;
    nodes_.erase(nodes_.begin() + id);
  }
  renumber_producers();
}

size_t Graph::erase_dead_nodes() {
  std::vector<bool> needed(values_.size(), false);
  for (ValueId id : outputs_) needed[id] = true;
  std::vector<NodeId> dead;
  for (NodeId i = static_cast<NodeId>(nodes_.size()) - 1; i >= 0; --i) {
    const Node& current = nodes_[i];
    bool alive = !current.regions.empty();
    for (ValueId id : current.outputs) alive = alive || needed[id];
    for (ValueId id : current.inputs) alive = alive || (id != kNone && value(id).kind == ValueKind::State);
    if (!alive) {
      dead.push_back(i);
      continue;
    }
    for (ValueId id : current.inputs) {
      if (id != kNone) needed[id] = true;
    }
  }
  erase_nodes(dead);
  return dead.size();
}

void Graph::infer_again() {
  for (Node& current : nodes_) {
    std::vector<ValueType> types = infer(current, current.outputs.size());
    for (size_t i = 0; i < types.size(); ++i) value(current.outputs[i]).type = std::move(types[i]);
  }
}

}  // namespace tenon::ir
