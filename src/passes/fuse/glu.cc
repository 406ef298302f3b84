#include "ops/glu.h"

#include "ir/pattern.h"
#include "ops/unary.h"
#include "passes/fuse/pack_linears.h"
#include "passes/pipeline.h"
#include "passes/rewrite.h"

namespace tenon::passes {
namespace {

constexpr std::string_view kPattern = R"(
  %gate = linear(%x, %gate_weight, ?, _) {activation: ""}
  %act = unary(%gate)
  %up = linear(%x, %up_weight, ?, _) {activation: ""}
  %y = binary(%act, %up) {kind: "mul"}
)";

bool rewrite(ir::Graph& graph, const ir::Match& match) {
  const ir::Graph& before = graph;
  ir::NodeId linears[] = {match.nodes[0], match.nodes[2]};
  const ValueType& gate = before.value(match.value("gate")).type;
  // Halves must be equal: a product that broadcasts one of them is something else.
  if (!(gate.shape == before.value(match.value("up")).type.shape)) return false;
  if (!can_pack_linears(graph, linears)) return false;

  ops::Glu op;
  op.kind = op_of<ops::Unary>(before.node(match.nodes[1])).kind;
  op.dtype = dtype_attribute_for(before.value(match.value("y")).type.dtype, gate.dtype);
  std::string module = before.node(match.nodes[3]).module;
  ir::ValueId packed = pack_linears(graph, linears);
  fuse_into(graph, match.nodes[3], {ops::Glu::kName, ops::to_attributes(op), {packed}, module},
            match.value("y"), {match.value("act")});
  return true;
}

}  // namespace

// kind(linear(x)) * linear(x) becomes one linear of both weights and glu{kind}: x is read once, and
// the product of the halves needs one pass.
size_t glu(ir::Graph& graph, const PassOptions&) {
  static const ir::Pattern pattern = ir::Pattern::parse(kPattern);
  size_t changes = ir::rewrite_all(graph, pattern, rewrite);
  graph.erase_dead_nodes();
  return changes;
}

}  // namespace tenon::passes
