#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/function_ref.h"
#include "ops/op.h"
#include "tensor/recipe.h"
#include "tensor/value_type.h"

namespace tenon::ir {

using ValueId = int32_t;
using NodeId = int32_t;
inline constexpr int32_t kNone = -1;

enum class ValueKind { Input, Constant, State, Intermediate };

struct Value {
  ValueKind kind = ValueKind::Intermediate;
  ValueType type;
  // The user's names, kept through every pass: module path or checkpoint key. First is the main
  // one.
  std::vector<std::string> names;
  std::optional<Recipe> recipe;  // Constant
  NodeId producer = kNone;       // Intermediate
};

struct Region;

struct Node {
  std::string op;
  int version = 1;
  ops::Attributes attributes;
  std::vector<ValueId> inputs, outputs;  // absent optional inputs are kNone
  std::string module;                    // "model.layers.0.self_attn.q_proj"
  std::vector<Region> regions;           // bodies of branch and loop
};

// A body of control flow: values of the enclosing graph are visible inside.
struct Region {
  std::vector<ValueId> inputs, outputs;
  std::vector<Node> nodes;
};

// Calls `read` for every value the node reads, those its regions read included; a value may come
// more than once.
void for_each_read(const Node& node, FunctionRef<void(ValueId)> read);

struct NodeSpec {
  std::string_view op;
  ops::Attributes attributes;
  std::vector<ValueId> inputs;
  std::string module;
  size_t outputs = 1;
};

// A graph over a catalogue of ops. Nodes stand in execution order; values are never removed, only
// unused. Every added node is checked and typed by the op's own shape rule.
class Graph {
 public:
  Graph(std::string name, const ops::Catalogue& catalogue)
      : name_(std::move(name)), catalogue_(&catalogue) {}

  const std::string& name() const { return name_; }
  const ops::Catalogue& catalogue() const { return *catalogue_; }

  ValueId add_input(std::string name, ValueType type);
  ValueId add_state(std::string name, ValueType type);
  // Equal recipes give one constant (tied weights) that carries both names.
  ValueId add_constant(std::string name, Recipe recipe);
  // Appends a node; returns its outputs.
  std::vector<ValueId> add_node(const NodeSpec& spec) { return insert_node(nodes_.size(), spec); }
  std::vector<ValueId> insert_node(size_t position, const NodeSpec& spec);
  // Puts a node in the place of another: no node moves, so a pass may do it for every match and
  // erase what is dead once at its end. The old outputs lose their producer: send their users
  // elsewhere.
  std::vector<ValueId> replace_node(NodeId id, const NodeSpec& spec);
  ValueId add_node1(const NodeSpec& spec) { return add_node(spec).at(0); }
  void add_output(std::string name, ValueId value);

  const std::vector<Value>& values() const { return values_; }
  const Value& value(ValueId id) const { return values_.at(id); }
  Value& value(ValueId id) { return values_.at(id); }
  const std::vector<Node>& nodes() const { return nodes_; }
  const Node& node(NodeId id) const { return nodes_.at(id); }
  // May change inputs, so the next users() builds its index again: not for a loop that asks
  // users().
  Node& node(NodeId id) {
    users_known_ = false;
    return nodes_.at(id);
  }
  const std::vector<ValueId>& inputs() const { return inputs_; }
  const std::vector<ValueId>& states() const { return states_; }
  const std::vector<ValueId>& outputs() const { return outputs_; }

  // The nodes that read a value, in order; a graph output is not a user. From an index made at the
  // first question (a graph is for one thread); the reference lasts until the graph changes.
  const std::vector<NodeId>& users(ValueId id) const;
  bool is_output(ValueId id) const;
  // Every reader and graph output of `from` reads `to`; `to` inherits the names, after its own,
  // except that the name of a graph output stays the main one.
  void replace_uses(ValueId from, ValueId to);
  // Removes nodes (ids ascending or not); later nodes move up.
  void erase_nodes(std::vector<NodeId> ids);
  // Removes nodes without effect: nobody reads an output and no state is touched. Returns the
  // count.
  size_t erase_dead_nodes();
  // Types every node again, after attributes or inputs were edited in place.
  void infer_again();
  void infer_node_again(NodeId id);

 private:
  std::vector<ValueType> infer(const Node& node, size_t outputs) const;
  ValueId new_value(Value value);
  Node make_node(const NodeSpec& spec);
  void renumber_producers(size_t from = 0);
  void know_users() const;
  void note_use(ValueId id, NodeId user) const;

  std::string name_;
  const ops::Catalogue* catalogue_;
  std::vector<Value> values_;
  std::vector<Node> nodes_;
  std::vector<ValueId> inputs_, states_, outputs_;
  std::unordered_map<std::string, ValueId> constants_;  // by the text of the recipe
  mutable std::vector<std::vector<NodeId>> users_;  // of each value, ascending; see users_known_
  mutable bool users_known_ = false;
};

// Throws ErrorCode::Internal naming the first broken rule: unknown ops, wrong arity, use before
// definition, types that differ from the shape rule, values defined twice.
void verify(const Graph& graph);

// The one text form. print(parse(text)) == text for what print writes.
//   graph decoder
//   input %0: i32[tokens] "ids"
//   const %1: bf16[64, 32] "lm_head.weight" = "cast(lm_head.weight; bf16)"
//   state %2: f32[cache_blocks, 2, 2, block_size, 16] "cache.0"
//   %3: f32[tokens, 64] "hidden" = linear(%4, %1, _) {activation: "silu"} @ "model.layers.0.mlp"
//   output %3
std::string print(const Graph& graph);
Graph parse(std::string_view text, const ops::Catalogue& catalogue);

}  // namespace tenon::ir
