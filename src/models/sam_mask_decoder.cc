// Prompt encoder and mask decoder of Segment Anything, as one stage over a batch of prompts.
// Source: facebookresearch/segment-anything segment_anything/modeling/{prompt_encoder,mask_decoder,
// transformer}.py.
#include <cmath>
#include <numbers>

#include "models/sam.h"
#include "ops/embedding.h"
#include "ops/fourier_features.h"
#include "ops/mask_post.h"

namespace tenon::models {
namespace {

using nn::Scope;
using nn::ValueId;

constexpr double kLastNormEps = 1e-5, kPictureNormEps = 1e-6;

Dim prompts() {
  return Dim::symbol("prompts");
}

// Positions of the cells' centres through the same features as points; constant for a model.
Tensor make_cell_positions(const WeightSource& source, const std::string& matrix,
                           const SamConfig& c) {
  Tensor frequencies = make_f32(source.view(matrix));
  int64_t half = c.width / 2;
  Tensor result = Tensor::make(DType::F32, {1, c.grid * c.grid, c.width});
  auto centre = [&](int64_t i) { return 2 * (static_cast<double>(i) + 0.5) / c.grid - 1; };
  for (int64_t cell = 0; cell < c.grid * c.grid; ++cell) {
    double x = centre(cell % c.grid), y = centre(cell / c.grid);
    for (int64_t i = 0; i < half; ++i) {
      const float* f = frequencies.as<float>() + i;
      double phase = 2 * std::numbers::pi * (x * f[0] + y * f[half]);
      result.as<float>()[cell * c.width + i] = static_cast<float>(std::sin(phase));
      result.as<float>()[cell * c.width + half + i] = static_cast<float>(std::cos(phase));
    }
  }
  return result;
}

class Decoder {
 public:
  Decoder(ir::Graph& graph, nn::Weights& weights, const ModelSource& source,
          const SamConfig& config)
      : graph_(graph),
        weights_(weights),
        source_(source),
        c_(config),
        root_(graph, weights),
        cells_(config.grid * config.grid) {}

  void build(bool masked) {
    ValueId embedding = graph_.add_input("embedding", {DType::F32, {cells_, c_.width}, {}});
    embedding = nn::reshape(root_ / "embedding", embedding, {1, cells_, c_.width});
    tokens_ = original_tokens_ = make_tokens();
    Scope prompt = root_ / "prompt_encoder";
    ValueId dense = masked ? mask_embedding(prompt / "mask_downscaling")
                           : (prompt / "no_mask_embed").weight("weight", {1, c_.width});
    picture_ = masked ? nn::add(prompt / "dense_sum", dense, embedding)
                      : nn::add(prompt / "dense_sum", embedding, dense);
    std::string matrix = "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix";
    if (weights_.has(matrix)) {
      positions_ = nn::literal(prompt, "cell_positions",
                               make_cell_positions(source_.weights, weights_.resolve(matrix), c_));
    } else {  // finish() will say that it is missing
      positions_ = nn::literal(prompt, "cell_positions",
                               Tensor::make_zeros(DType::F32, {1, cells_, c_.width}));
    }
    transform();
    predict();
  }

 private:
  // [prompts, 1 + masks + points, width]: the score's token, the masks' tokens, the prompt.
  ValueId make_tokens() {
    Scope prompt = root_ / "prompt_encoder";
    Dim points = Dim::symbol("points");
    ValueId coordinates = graph_.add_input("points", {DType::F32, {prompts(), points, 2}, {}});
    ValueId labels = graph_.add_input("labels", {DType::I32, {prompts() * points}, {}});
    ValueId matrix =
        (prompt / "pe_layer").weight("positional_encoding_gaussian_matrix", {2, c_.width / 2});
    ValueId features = graph_.add_node1(
        {ops::FourierFeatures::kName, {}, {coordinates, matrix}, (prompt / "pe_layer").path(), 1});
    // Padding has no position, only its own embedding.
    const float keep[] = {0, 1, 1, 1, 1};
    ValueId kept = look_up(
        prompt / "has_position", labels,
        nn::literal(prompt, "has_position", Tensor::make_from<float>(DType::F32, {5, 1}, keep)));
    features = nn::mul(prompt / "positions", features,
                       nn::reshape(prompt / "has_position", kept, {prompts(), points, 1}));
    ValueId named = look_up(prompt / "point_embeddings", labels, label_table(prompt));
    named = nn::reshape(prompt / "point_embeddings", named, {prompts(), points, c_.width});
    ValueId sparse = nn::add(prompt / "sparse", features, named);

    Scope decoder = root_ / "mask_decoder";
    ValueId score = token_rows(decoder / "iou_token", 1);
    ValueId masks = token_rows(decoder / "mask_tokens", c_.masks);
    return nn::concat(decoder / "tokens", {score, masks, sparse}, 1);
  }

  // Learned tokens, the same for every prompt; f32, as what they stand beside.
  ValueId token_rows(const Scope& scope, int64_t count) {
    Recipe rows = weights_.need((scope / "weight").path(), {count, c_.width});
    return graph_.add_constant(
        (scope / "weight").path(),
        Recipe::reshape(Recipe::cast(rows, DType::F32), {1, count, c_.width}));
  }

  ValueId look_up(const Scope& scope, ValueId ids, ValueId table) {
    return graph_.add_node1({ops::Embedding::kName,
                             ops::to_attributes(ops::Embedding{.dtype = "f32"}),
                             {ids, table, ir::kNone},
                             scope.path(),
                             1});
  }

  // In the order of SamPointLabel.
  ValueId label_table(const Scope& prompt) {
    auto row = [&](const Scope& scope) {
      return weights_.need((scope / "weight").path(), {1, c_.width});
    };
    std::vector<Recipe> rows = {row(prompt / "not_a_point_embed")};
    for (int64_t i = 0; i < 4; ++i) rows.push_back(row(prompt / "point_embeddings" / i));
    return graph_.add_constant((prompt / "point_embeddings").path(), Recipe::concat(rows, 0));
  }

  // mask_logits [prompts, 4 grid, 4 grid] -> [prompts, cells, width]
  ValueId mask_embedding(const Scope& scope) {
    int64_t side = 4 * c_.grid, channels = c_.mask_channels;
    ValueId x = graph_.add_input("mask_logits", {DType::F32, {prompts(), side, side}, {}});
    x = nn::reshape(scope, x, {prompts(), side, side, 1});
    x = nn::conv(scope / 0, x, {1, channels / 4, 2, 2, 0, true});
    x = nn::unary(scope / 2, "gelu_erf",
                  nn::layer_norm(scope / 1, x, channels / 4, kPictureNormEps));
    x = nn::conv(scope / 3, x, {channels / 4, channels, 2, 2, 0, true});
    x = nn::unary(scope / 5, "gelu_erf", nn::layer_norm(scope / 4, x, channels, kPictureNormEps));
    x = nn::conv_as_linear(scope / 6, x, {channels, c_.width, 1, 1, 0, true});
    return nn::reshape(scope, x, {prompts(), cells_, c_.width});
  }

  ValueId attend(const Scope& scope, ValueId q, ValueId k, ValueId v, int64_t inside) {
    q = nn::linear(scope / "q_proj", q, {c_.width, inside, true});
    k = nn::linear(scope / "k_proj", k, {c_.width, inside, true});
    v = nn::linear(scope / "v_proj", v, {c_.width, inside, true});
    ValueId out =
        nn::attention(scope, q, k, v, {c_.decoder_heads, inside / c_.decoder_heads, 0, 0});
    return nn::linear(scope / "out_proj", out, {inside, c_.width, true});
  }

  ValueId with_positions(const Scope& scope, ValueId tokens) {
    return nn::add(scope, tokens, original_tokens_);
  }

  // Positions are added anew to what is compared, never to what is mixed.
  void layer(const Scope& scope, bool first) {
    if (first) {
      tokens_ = attend(scope / "self_attn", tokens_, tokens_, tokens_, c_.width);
    } else {
      ValueId q = with_positions(scope / "self_attn" / "query", tokens_);
      tokens_ = nn::add(scope / "self_attn" / "sum", tokens_,
                        attend(scope / "self_attn", q, q, tokens_, c_.width));
    }
    tokens_ = nn::layer_norm(scope / "norm1", tokens_, c_.width, c_.decoder_norm_eps);
    ValueId placed = nn::add(scope / "placed_picture", picture_, positions_);
    look_at_picture(scope / "cross_attn_token_to_image", scope / "norm2", placed,
                    c_.decoder_norm_eps);
    Scope mlp = scope / "mlp";
    ValueId inner = nn::linear(mlp / "lin1", tokens_, {c_.width, c_.decoder_ffn, true});
    inner = nn::unary(mlp / "act", "relu", inner);
    inner = nn::linear(mlp / "lin2", inner, {c_.decoder_ffn, c_.width, true});
    tokens_ = nn::layer_norm(scope / "norm3", nn::add(mlp, tokens_, inner), c_.width,
                             c_.decoder_norm_eps);

    Scope back = scope / "cross_attn_image_to_token";
    ValueId keys = with_positions(back / "key", tokens_);
    ValueId changed = attend(back, placed, keys, tokens_, c_.cross_width);
    picture_ = nn::layer_norm(scope / "norm4", nn::add(back / "sum", changed, picture_), c_.width,
                              c_.decoder_norm_eps);
  }

  // `placed`: the picture with its positions.
  void look_at_picture(const Scope& scope, const Scope& norm, ValueId placed, double eps) {
    ValueId queries = with_positions(scope / "query", tokens_);
    ValueId seen = attend(scope, queries, placed, picture_, c_.cross_width);
    tokens_ = nn::layer_norm(norm, nn::add(scope / "sum", tokens_, seen), c_.width, eps);
  }

  void transform() {
    Scope scope = root_ / "mask_decoder" / "transformer";
    for (int64_t i = 0; i < c_.decoder_layers; ++i) layer(scope / "layers" / i, i == 0);
    look_at_picture(scope / "final_attn_token_to_image", scope / "norm_final_attn",
                    nn::add(scope / "placed_picture", picture_, positions_), kLastNormEps);
  }

  // A perceptron with relu between its layers: x [prompts, width] -> [prompts, out].
  ValueId perceptron(const Scope& scope, ValueId x, int64_t hidden, int64_t out, int64_t layers) {
    int64_t in = c_.width;
    for (int64_t i = 0; i < layers; ++i) {
      int64_t next = i + 1 == layers ? out : hidden;
      x = nn::linear(scope / "layers" / i, x, {in, next, true});
      if (i + 1 < layers) x = nn::unary(scope / "act" / i, "relu", x);
      in = next;
    }
    return x;
  }

  ValueId token(const Scope& scope, int64_t index) {
    return nn::reshape(scope, nn::slice(scope, tokens_, 1, index, index + 1),
                       {prompts(), c_.width});
  }

  // Each cell becomes 4 x 4 pixels; they are put in their places only when the masks' few channels
  // are left.
  void predict() {
    Scope decoder = root_ / "mask_decoder", up = decoder / "output_upscaling";
    int64_t quarter = c_.width / 4, eighth = c_.width / 8;
    ValueId x = nn::conv_transpose_2x2(up / 0, picture_, c_.width, quarter);
    x = nn::unary(up / 2, "gelu_erf", nn::layer_norm(up / 1, x, quarter, kPictureNormEps));
    x = nn::conv_transpose_2x2(up / 3, x, quarter, eighth, "gelu_erf");
    x = nn::reshape(up, x, {prompts(), cells_ * 16, eighth});

    std::vector<ValueId> weights;
    for (int64_t i = 0; i < c_.masks; ++i) {
      Scope scope = decoder / "output_hypernetworks_mlps" / i;
      ValueId row = perceptron(scope, token(scope / "token", 1 + i), c_.width, eighth, 3);
      weights.push_back(nn::reshape(scope / "row", row, {prompts(), 1, eighth}));
    }
    ValueId masks =
        nn::matmul(decoder / "masks", nn::concat(decoder / "masks", weights, 1), x, true);
    // rows, columns, then the two halvings of each.
    masks = nn::reshape(decoder / "masks", masks,
                        {prompts() * Dim(c_.masks), c_.grid, c_.grid, 2, 2, 2, 2});
    masks = nn::transpose(decoder / "masks", masks, {0, 1, 3, 5, 2, 4, 6});
    graph_.add_output("masks", nn::reshape(decoder / "masks", masks,
                                           {prompts(), c_.masks, 4 * c_.grid, 4 * c_.grid}));
    Scope score = decoder / "iou_prediction_head";
    graph_.add_output(
        "iou", perceptron(score, token(score / "token", 0), c_.iou_ffn, c_.masks, c_.iou_layers));
  }

  ir::Graph& graph_;
  nn::Weights& weights_;
  const ModelSource& source_;
  const SamConfig& c_;
  Scope root_;
  int64_t cells_;
  ValueId tokens_ = ir::kNone, original_tokens_ = ir::kNone;
  ValueId picture_ = ir::kNone, positions_ = ir::kNone;
};

}  // namespace

ir::Graph sam_mask_decoder(const ModelSource& source, nn::Weights& weights, const SamConfig& config,
                           bool masked) {
  ir::Graph graph(masked ? "mask_decoder_with_mask" : "mask_decoder", source.catalogue);
  Decoder(graph, weights, source, config).build(masked);
  return graph;
}

ir::Graph sam_mask_post(const ModelSource& source, nn::Weights& weights, const SamConfig& config) {
  ir::Graph graph("mask_post", source.catalogue);
  int64_t side = 4 * config.grid;
  Dim words = Dim::symbol("words"), width = Dim::symbol("picture_w");
  ValueId masks = graph.add_input("masks", {DType::F32, {prompts(), config.masks, side, side}, {}});
  ValueId chosen = graph.add_input("chosen", {DType::I32, {Dim::symbol("chosen")}, {}});
  ValueId taps_y = graph.add_input("taps_y", {DType::F32, {words, 32, 4}, {}});
  ValueId taps_x = graph.add_input("taps_x", {DType::F32, {width, 4}, {}});
  ValueId levels = graph.add_input("levels", {DType::F32, {3}, {}});
  Scope scope = Scope(graph, weights) / "mask_post";
  masks = nn::reshape(scope, masks, {prompts() * Dim(config.masks), side, side});
  ir::NodeSpec spec{
      ops::MaskPost::kName, {}, {masks, chosen, taps_y, taps_x, levels}, scope.path(), 2};
  std::vector<ValueId> outputs = graph.add_node(spec);
  graph.add_output("bits", outputs[0]);
  graph.add_output("counts", outputs[1]);
  return graph;
}

}  // namespace tenon::models
