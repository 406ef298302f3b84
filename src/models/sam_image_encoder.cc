// The picture encoder of Segment Anything: a ViT with windows and decomposed relative positions.
// Source: facebookresearch/segment-anything segment_anything/modeling/image_encoder.py.
#include "models/sam.h"
#include "ops/image_prep.h"

namespace tenon::models {
namespace {

using nn::Scope;
using nn::ValueId;

constexpr double kEps = 1e-6;

// Pad cells of windows come after the norm, as zeros: their k and v are the biases, and they are
// attended.
ValueId pad_row(const Scope& scope, const SamConfig& c, int64_t part) {
  Recipe bias = scope.weights().need((scope / "qkv" / "bias").path(), {3 * c.dim});
  return scope.graph().add_constant((scope / "qkv" / "bias").path(),
                                    Recipe::slice(bias, 0, part * c.dim, (part + 1) * c.dim));
}

ValueId attention(const Scope& scope, ValueId x, const SamConfig& c, bool global) {
  int64_t side = global ? c.grid : c.window;
  x = nn::reshape(scope / "picture", x, {1, c.grid * c.grid, c.dim});
  ValueId qkv = nn::linear(scope / "qkv", x, {c.dim, 3 * c.dim, true});
  ValueId q = nn::slice(scope / "q", qkv, 2, 0, c.dim);
  ValueId k = nn::slice(scope / "k", qkv, 2, c.dim, 2 * c.dim);
  ValueId v = nn::slice(scope / "v", qkv, 2, 2 * c.dim, 3 * c.dim);
  nn::DenseAttention options{.heads = c.heads,
                             .head_dim = c.head_dim,
                             .grid_h = c.grid,
                             .grid_w = c.grid,
                             .window = global ? 0 : c.window};
  options.rel_h = scope.weight("rel_pos_h", {2 * side - 1, c.head_dim});
  options.rel_w = scope.weight("rel_pos_w", {2 * side - 1, c.head_dim});
  if (!global && c.grid % c.window != 0) {
    options.pad_k = pad_row(scope, c, 1);
    options.pad_v = pad_row(scope, c, 2);
  }
  x = nn::attention(scope, q, k, v, options);
  x = nn::reshape(scope / "picture", x, {c.grid * c.grid, c.dim});
  return nn::linear(scope / "proj", x, {c.dim, c.dim, true});
}

ValueId block(const Scope& scope, ValueId x, const SamConfig& c, bool global) {
  ValueId normed = nn::layer_norm(scope / "norm1", x, c.dim, kEps);
  x = nn::add(scope / "attention_residual", x, attention(scope / "attn", normed, c, global));
  normed = nn::layer_norm(scope / "norm2", x, c.dim, kEps);
  Scope mlp = scope / "mlp";
  ValueId inner = nn::linear(mlp / "lin1", normed, {c.dim, c.ffn, true});
  inner = nn::unary(mlp / "act", "gelu_erf", inner);
  return nn::add(scope, x, nn::linear(mlp / "lin2", inner, {c.ffn, c.dim, true}));
}

}  // namespace

ir::Graph sam_image_encoder(const ModelSource& source, nn::Weights& weights, const SamConfig& c) {
  ir::Graph graph("image_encoder", source.catalogue);
  ValueId pixels = graph.add_input("pixels", {DType::F32, {c.image, c.image, 3}, {}});
  Scope encoder = Scope(graph, weights) / "image_encoder";
  ValueId x = nn::patches(encoder / "patches", pixels, c.image, c.patch, 3);
  x = nn::conv_as_linear(encoder / "patch_embed" / "proj", x,
                         {3, c.dim, c.patch, c.patch, 0, true});
  std::string name = (encoder / "pos_embed").path();
  Recipe positions =
      Recipe::reshape(weights.need(name, {1, c.grid, c.grid, c.dim}), {c.grid * c.grid, c.dim});
  x = nn::add(encoder / "position_sum", x, graph.add_constant(name, positions));
  for (size_t i = 0; i < c.global.size(); ++i) {
    x = block(encoder / "blocks" / static_cast<int64_t>(i), x, c, c.global[i]);
  }
  Scope neck = encoder / "neck";
  x = nn::conv_as_linear(neck / 0, x, {c.dim, c.width});
  x = nn::layer_norm(neck / 1, x, c.width, kEps);
  x = nn::reshape(neck, x, {1, c.grid, c.grid, c.width});
  x = nn::conv(neck / 2, x, {c.width, c.width, 3, 1, 1});
  x = nn::layer_norm(neck / 3, x, c.width, kEps);
  graph.add_output("embedding", nn::reshape(neck, x, {c.grid * c.grid, c.width}));
  return graph;
}

ir::Graph sam_image_prep(const ModelSource& source, nn::Weights& weights, const SamConfig& c) {
  ir::Graph graph("image_prep", source.catalogue);
  Dim height = Dim::symbol("picture_h"), width = Dim::symbol("picture_w");
  Dim taps_h = Dim::symbol("taps_h"), taps_w = Dim::symbol("taps_w");
  ValueId picture = graph.add_input("picture", {DType::U8, {height, width, 3}, {}});
  ValueId taps_y = graph.add_input("taps_y", {DType::I32, {c.image, taps_h}, {}});
  ValueId taps_x = graph.add_input("taps_x", {DType::I32, {c.image, taps_w}, {}});
  Scope scope = Scope(graph, weights) / "image_prep";
  auto three = [&](std::string_view name, const double(&values)[3]) {
    Tensor constant = Tensor::make(DType::F32, {3});
    for (int i = 0; i < 3; ++i) constant.as<float>()[i] = static_cast<float>(values[i]);
    return nn::literal(scope, name, std::move(constant));
  };
  std::vector<ValueId> inputs = {picture, taps_y, taps_x, three("mean", kSamMean),
                                 three("deviation", kSamDeviation)};
  graph.add_output("pixels", graph.add_node1({ops::ImagePrep::kName, {}, inputs, scope.path(), 1}));
  return graph;
}

}  // namespace tenon::models
