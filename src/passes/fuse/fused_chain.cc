#include <algorithm>
#include <set>

#include "ops/binary.h"
#include "ops/cast.h"
#include "ops/fused.h"
#include "ops/unary.h"
#include "passes/pipeline.h"
#include "passes/rewrite.h"

namespace tenon::passes {
namespace {

using ops::Expression;

bool is_plain_float(const ValueType& type) {
  return !type.quant &&
         (type.dtype == DType::F32 || type.dtype == DType::BF16 || type.dtype == DType::F16);
}

bool is_elementwise(const ir::Graph& graph, const ir::Node& node) {
  if (node.op != ops::Unary::kName && node.op != ops::Binary::kName &&
      node.op != ops::Cast::kName) {
    return false;
  }
  auto plain = [&](ir::ValueId id) { return is_plain_float(graph.value(id).type); };
  return std::all_of(node.inputs.begin(), node.inputs.end(), plain) && plain(node.outputs[0]);
}

// A tree of elementwise nodes, the root last.
class Chain {
 public:
  Chain(const ir::Graph& graph, ir::NodeId root) : graph_(graph), root_(root), nodes_{root} {
    grow(root);
  }

  bool worth_it() const { return nodes_.size() > 1; }
  ir::NodeId root() const { return root_; }
  const std::set<ir::NodeId>& nodes() const { return nodes_; }
  ir::ValueId root_value() const { return graph_.node(root_).outputs[0]; }

  ir::NodeSpec spec() const {
    Program program = emit();
    const ir::Node& node = graph_.node(root_);
    auto inputs = static_cast<int>(program.inputs.size());
    ops::Fused op{Expression{program.steps, inputs, 0}.to_string(),
                  dtype_attribute_for(graph_.value(root_value()).type.dtype,
                                      graph_.value(program.inputs[0]).type.dtype)};
    return {ops::Fused::kName, ops::to_attributes(op), program.inputs, node.module};
  }

 private:
  struct Program {
    std::vector<Expression::Step> steps;
    std::vector<ir::ValueId> inputs;
    int depth = 0, most_depth = 0;
  };

  // Takes in what computes the node's inputs, as long as it all fits.
  void grow(ir::NodeId id) {
    for (ir::ValueId input : graph_.node(id).inputs) {
      ir::NodeId producer = graph_.value(input).producer;
      if (producer == ir::kNone || !may_join(producer, id, input)) continue;
      nodes_.insert(producer);
      if (fits()) {
        grow(producer);
      } else {
        nodes_.erase(producer);
      }
    }
  }

  bool may_join(ir::NodeId producer, ir::NodeId user, ir::ValueId value) const {
    const ir::Node& node = graph_.node(producer);
    const std::vector<ir::ValueId>& reads = graph_.node(user).inputs;
    if (!is_elementwise(graph_, node) || !is_only_for(graph_, value, user)) return false;
    if (std::count(reads.begin(), reads.end(), value) != 1) return false;
    // A smaller value would be computed again for each element of the larger.
    const Shape& shape = graph_.value(value).type.shape;
    if (!(shape == graph_.value(root_value()).type.shape)) return false;
    // A cast that rounds is what somebody asked for.
    if (node.op != ops::Cast::kName) return true;
    DType from = graph_.value(node.inputs[0]).type.dtype, to = graph_.value(value).type.dtype;
    return to == DType::F32 || to == from;
  }

  bool fits() const {
    Program program = emit();
    return std::ssize(program.steps) <= Expression::kMostSteps &&
           std::ssize(program.inputs) <= Expression::kMostInputs &&
           program.most_depth <= Expression::kMostDepth;
  }

  Program emit() const {
    Program program;
    emit_node(program, root_);
    return program;
  }

  static void push(Program& program, const Expression::Step& step, int takes) {
    program.steps.push_back(step);
    program.depth += 1 - takes;
    program.most_depth = std::max(program.most_depth, program.depth);
  }

  void emit_node(Program& program, ir::NodeId id) const {
    const ir::Node& node = graph_.node(id);
    for (ir::ValueId input : node.inputs) {
      ir::NodeId producer = graph_.value(input).producer;
      if (producer != ir::kNone && nodes_.count(producer)) {
        emit_node(program, producer);
        continue;
      }
      auto known = std::find(program.inputs.begin(), program.inputs.end(), input);
      push(program, {Expression::Op::Input, static_cast<int>(known - program.inputs.begin()), 0.0},
           0);
      if (known == program.inputs.end()) program.inputs.push_back(input);
    }
    auto index_in = [](const auto& kinds, const std::string& kind) {
      return static_cast<int>(std::find(std::begin(kinds), std::end(kinds), kind) -
                              std::begin(kinds));
    };
    if (node.op == ops::Unary::kName) {
      int kind = index_in(ops::kUnaryKinds, op_of<ops::Unary>(node).kind);
      push(program, {Expression::Op::Unary, kind, 0.0}, 1);
    } else if (node.op == ops::Binary::kName) {
      int kind = index_in(ops::kBinaryKinds, op_of<ops::Binary>(node).kind);
      push(program, {Expression::Op::Binary, kind, 0.0}, 2);
    }
  }

  const ir::Graph& graph_;
  ir::NodeId root_;
  std::set<ir::NodeId> nodes_;
};

void replace(ir::Graph& graph, const Chain& chain) {
  ir::ValueId root = chain.root_value();
  std::vector<ir::ValueId> removed;
  for (ir::NodeId id : chain.nodes()) {
    if (id != chain.root()) removed.push_back(std::as_const(graph).node(id).outputs[0]);
  }
  ir::NodeSpec spec = chain.spec();
  ir::ValueId fused = fuse_into(graph, chain.root(), spec, root, {})[0];
  for (ir::ValueId id : removed) inherit_names(graph, fused, id);
}

}  // namespace

// Chains of unary, binary and cast that the other fusions left become one `fused`. What is in
// between is no longer rounded to the type it was stored in: half a unit in its last place each.
size_t fused_chain(ir::Graph& graph, const PassOptions&) {
  size_t changes = 0;
  std::set<ir::NodeId> taken;
  // From the end on, so that a chain begins at its last node.
  for (auto id = static_cast<ir::NodeId>(graph.nodes().size()) - 1; id >= 0; --id) {
    if (taken.count(id) || !is_elementwise(graph, std::as_const(graph).node(id))) continue;
    Chain chain(graph, id);
    if (!chain.worth_it()) continue;
    taken.insert(chain.nodes().begin(), chain.nodes().end());
    replace(graph, chain);
    ++changes;
  }
  graph.erase_dead_nodes();
  return changes;
}

}  // namespace tenon::passes
