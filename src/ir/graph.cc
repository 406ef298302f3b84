#include "ir/graph.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace tenon::ir {
namespace {

void add_name(std::vector<std::string>& names, const std::string& name) {
  if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
}

void replace_reads(Node& node, ValueId from, ValueId to) {
  std::replace(node.inputs.begin(), node.inputs.end(), from, to);
  for (Region& region : node.regions) {
    for (Node& inner : region.nodes) replace_reads(inner, from, to);
    std::replace(region.outputs.begin(), region.outputs.end(), from, to);
  }
}

}  // namespace

void for_each_read(const Node& node, FunctionRef<void(ValueId)> read) {
  for (ValueId id : node.inputs) {
    if (id != kNone) read(id);
  }
  for (const Region& region : node.regions) {
    for (const Node& inner : region.nodes) for_each_read(inner, read);
    for (ValueId id : region.outputs) read(id);
  }
}

ValueId Graph::new_value(Value value) {
  values_.push_back(std::move(value));
  return static_cast<ValueId>(values_.size() - 1);
}

ValueId Graph::add_input(std::string name, ValueType type) {
  inputs_.push_back(
      new_value({ValueKind::Input, std::move(type), {std::move(name)}, std::nullopt, kNone}));
  return inputs_.back();
}

ValueId Graph::add_state(std::string name, ValueType type) {
  states_.push_back(
      new_value({ValueKind::State, std::move(type), {std::move(name)}, std::nullopt, kNone}));
  return states_.back();
}

ValueId Graph::add_constant(std::string name, Recipe recipe) {
  std::string text = recipe.to_string();
  auto found = constants_.find(text);
  // The index may be out of date where a caller edited the value's recipe in place.
  if (found != constants_.end() && *value(found->second).recipe == recipe) {
    add_name(value(found->second).names, name);
    return found->second;
  }
  ValueType type{recipe.dtype(), to_shape(recipe.extents()), {}};
  ValueId id = new_value(
      {ValueKind::Constant, std::move(type), {std::move(name)}, std::move(recipe), kNone});
  constants_[std::move(text)] = id;
  return id;
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

Node Graph::make_node(const NodeSpec& spec) {
  Node node{std::string(spec.op), 1, spec.attributes, spec.inputs, {}, spec.module, {}};
  const ops::OpDef& def = catalogue_->at(node.op, node.version);
  bool variadic = !def.inputs.empty() && def.inputs.back().kind == ops::PortKind::Variadic;
  if (!variadic) node.inputs.resize(def.inputs.size(), kNone);
  for (ValueType& type : infer(node, spec.outputs)) {
    node.outputs.push_back(
        new_value({ValueKind::Intermediate, std::move(type), {}, std::nullopt, kNone}));
  }
  if (!node.outputs.empty() && !spec.module.empty())
    value(node.outputs[0]).names.push_back(spec.module);
  return node;
}

std::vector<ValueId> Graph::insert_node(size_t position, const NodeSpec& spec) {
  Node node = make_node(spec);
  std::vector<ValueId> outputs = node.outputs;
  nodes_.insert(nodes_.begin() + position, std::move(node));
  users_known_ = false;
  renumber_producers(position);
  return outputs;
}

std::vector<ValueId> Graph::replace_node(NodeId id, const NodeSpec& spec) {
  Node fresh = make_node(spec);
  Node& old = nodes_.at(id);
  for (ValueId output : old.outputs) values_[output].producer = kNone;
  if (users_known_) {
    users_.resize(values_.size());
    for_each_read(old, [&](ValueId read) { std::erase(users_[read], id); });
    for_each_read(fresh, [&](ValueId read) { note_use(read, id); });
  }
  old = std::move(fresh);
  for (ValueId output : old.outputs) values_[output].producer = id;
  return old.outputs;
}

void Graph::renumber_producers(size_t from) {
  for (size_t i = from; i < nodes_.size(); ++i) {
    for (ValueId id : nodes_[i].outputs) values_[id].producer = static_cast<NodeId>(i);
  }
}

void Graph::add_output(std::string name, ValueId id) {
  std::vector<std::string>& names = value(id).names;
  if (std::find(names.begin(), names.end(), name) == names.end())
    names.insert(names.begin(), std::move(name));
  outputs_.push_back(id);
}

void Graph::know_users() const {
  if (users_known_ && users_.size() == values_.size()) return;
  if (!users_known_) {
    users_.assign(values_.size(), {});
    for (size_t i = 0; i < nodes_.size(); ++i) {
      for_each_read(nodes_[i], [&](ValueId read) { note_use(read, static_cast<NodeId>(i)); });
    }
  }
  users_.resize(values_.size());
  users_known_ = true;
}

void Graph::note_use(ValueId id, NodeId user) const {
  std::vector<NodeId>& list = users_[id];
  auto at = std::lower_bound(list.begin(), list.end(), user);
  if (at == list.end() || *at != user) list.insert(at, user);
}

const std::vector<NodeId>& Graph::users(ValueId id) const {
  know_users();
  return users_.at(id);
}

bool Graph::is_output(ValueId id) const {
  return std::find(outputs_.begin(), outputs_.end(), id) != outputs_.end();
}

void Graph::replace_uses(ValueId from, ValueId to) {
  if (from == to) return;
  know_users();
  for (NodeId user : std::exchange(users_[from], {})) {
    replace_reads(nodes_[user], from, to);
    note_use(to, user);
  }
  bool was_output = is_output(from);
  std::replace(outputs_.begin(), outputs_.end(), from, to);
  std::vector<std::string>& names = value(to).names;
  const std::vector<std::string>& inherited = value(from).names;
  for (const std::string& name : inherited) add_name(names, name);
  if (was_output && !inherited.empty()) {
    auto main = std::find(names.begin(), names.end(), inherited[0]);
    std::rotate(names.begin(), main, main + 1);
  }
}

void Graph::erase_nodes(std::vector<NodeId> ids) {
  if (ids.empty()) return;
  std::vector<bool> erased(nodes_.size(), false);
  for (NodeId id : ids) {
    erased.at(id) = true;
    for (ValueId output : nodes_[id].outputs) values_[output].producer = kNone;
  }
  size_t kept = 0;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (erased[i]) continue;
    if (kept != i) nodes_[kept] = std::move(nodes_[i]);
    ++kept;
  }
  nodes_.erase(nodes_.begin() + kept, nodes_.end());
  users_known_ = false;
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
    for (ValueId id : current.inputs)
      alive = alive || (id != kNone && value(id).kind == ValueKind::State);
    if (!alive) {
      dead.push_back(i);
      continue;
    }
    for_each_read(current, [&](ValueId id) { needed[id] = true; });
  }
  erase_nodes(dead);
  return dead.size();
}

void Graph::infer_again() {
  for (size_t i = 0; i < nodes_.size(); ++i) infer_node_again(static_cast<NodeId>(i));
}

void Graph::infer_node_again(NodeId id) {
  const Node& current = nodes_.at(id);
  std::vector<ValueType> types = infer(current, current.outputs.size());
  for (size_t i = 0; i < types.size(); ++i) value(current.outputs[i]).type = std::move(types[i]);
}

}  // namespace tenon::ir
