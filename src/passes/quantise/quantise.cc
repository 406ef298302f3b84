#include <algorithm>

#include "ops/linear.h"
#include "ops/quantised_linear.h"
#include "passes/pipeline.h"
#include "passes/rewrite.h"

namespace tenon::passes {
namespace {

constexpr size_t kWeight = 1, kBias = 2, kResidual = 3;

// A product that gives a graph output is the language model's head: rounding it costs most and
// saves least, and where embeddings are tied the table is there in full anyway.
bool is_quantisable(const ir::Graph& graph, const ir::Node& node, const PassOptions& options) {
  if (node.op != ops::Linear::kName || graph.is_output(node.outputs[0])) return false;
  const ir::Value& weight = graph.value(node.inputs[kWeight]);
  bool plain = weight.kind == ir::ValueKind::Constant && !weight.type.quant &&
               is_float(weight.type.dtype) && weight.recipe->extents()[0] > 0 &&
               weight.recipe->extents()[1] > 0 &&
               weight.recipe->extents()[1] <= ops::kMostQuantisedInputs;
  return plain && std::none_of(weight.names.begin(), weight.names.end(),
                               [&](auto& name) { return options.types.count(name) > 0; });
}

// What the checkpoint holds, and not what a 16-bit plan would have made of it.
const Recipe& unrounded(const Recipe& recipe) {
  return recipe.kind() == Recipe::Kind::Cast ? recipe.parts()[0] : recipe;
}

ir::ValueId add_part(ir::Graph& graph, ir::ValueId weight, const QuantSpec& spec, QuantPart part,
                     const char* suffix) {
  const ir::Value value = graph.value(weight);  // a copy: adding a constant moves the values
  std::string name = (value.names.empty() ? "constant" : value.names[0]) + suffix;
  ir::ValueId id = graph.add_constant(name, Recipe::quantise(unrounded(*value.recipe), spec, part));
  if (part == QuantPart::Codes) inherit_names(graph, id, weight);
  return id;
}

void quantise_linear(ir::Graph& graph, ir::NodeId id, const Quantisation& quantisation) {
  const ir::Graph& before = graph;
  const ir::Node linear = before.node(id);
  const QuantSpec& spec = quantisation.weights;
  ops::Linear from = op_of<ops::Linear>(linear);
  ops::QuantisedLinear op;
  op.activation = from.activation;
  op.dtype = from.dtype;
  op.x_codes = quantisation.x_codes;
  ir::ValueId weight = linear.inputs[kWeight];
  op.out = before.value(weight).recipe->extents()[0];
  op.in = before.value(weight).recipe->extents()[1];
  op.group = spec.group;
  ir::NodeSpec node{ops::QuantisedLinear::kName, ops::to_attributes(op), {}, linear.module};
  node.inputs = {linear.inputs[0],
                 add_part(graph, weight, spec, QuantPart::Codes, ".codes"),
                 add_part(graph, weight, spec, QuantPart::Scales, ".scales"),
                 ir::kNone,
                 linear.inputs[kBias],
                 linear.inputs[kResidual]};
  if (spec.zero_points) {
    node.inputs[3] = add_part(graph, weight, spec, QuantPart::Zeros, ".zeros");
  }
  fuse_into(graph, id, node, linear.outputs[0], {});
}

}  // namespace

// Puts the weights of linears into 8 or 4 bits. Embeddings, the head, norms and biases stay as the
// precision left them.
size_t quantise(ir::Graph& graph, const PassOptions& options) {
  if (!options.quantisation) return 0;
  const ir::Graph& before = graph;
  size_t changes = 0;
  for (size_t i = 0; i < before.nodes().size(); ++i) {
    if (!is_quantisable(graph, before.nodes()[i], options)) continue;
    quantise_linear(graph, static_cast<ir::NodeId>(i), *options.quantisation);
    ++changes;
  }
  graph.erase_dead_nodes();
  return changes;
}

}  // namespace tenon::passes
