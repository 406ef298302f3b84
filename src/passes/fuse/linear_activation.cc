#include "ir/pattern.h"
#include "ops/linear.h"
#include "ops/unary.h"
#include "passes/pipeline.h"
#include "passes/rewrite.h"

namespace tenon::passes {
namespace {

constexpr std::string_view kPattern = R"(
  %linear = linear(%x, %weight, ?, _) {activation: ""}
  %y = unary(%linear)
)";

bool rewrite(ir::Graph& graph, const ir::Match& match) {
  const ir::Graph& before = graph;
  const ir::Node& linear = before.node(match.nodes[0]);
  ops::Linear op = op_of<ops::Linear>(linear);
  op.activation = op_of<ops::Unary>(before.node(match.nodes[1])).kind;
  op.dtype = dtype_attribute_for(before.value(match.value("y")).type.dtype,
                                 before.value(match.value("x")).type.dtype);
  ir::NodeSpec spec{ops::Linear::kName, ops::to_attributes(op), linear.inputs, linear.module};
  fuse_into(graph, match.nodes[1], spec, match.value("y"), {match.value("linear")});
  return true;
}

}  // namespace

// unary(linear(x)) becomes linear{activation}: the product is activated before it leaves registers.
size_t linear_activation(ir::Graph& graph, const PassOptions&) {
  static const ir::Pattern pattern = ir::Pattern::parse(kPattern);
  size_t changes = ir::rewrite_all(graph, pattern, rewrite);
  graph.erase_dead_nodes();
  return changes;
}

}  // namespace tenon::passes
