// Segment Anything (ViT-B, ViT-L, ViT-H): picture encoder, prompt encoder, mask decoder. Meta's
// checkpoints and the Hugging Face layout of the same weights.
// Source: facebookresearch/segment-anything segment_anything/build_sam.py; names of the other
// layout: huggingface/transformers src/transformers/models/sam/modeling_sam.py.
#include "models/sam.h"

#include "base/text.h"

namespace tenon::models {
namespace {

constexpr std::string_view kPositions = "image_encoder.pos_embed";
constexpr std::string_view kHfPositions = "vision_encoder.pos_embed";

struct Renaming {
  std::string_view meta, hf;
};

// Beginnings of names; then parts inside them. Each applies once, in this order.
constexpr Renaming kBeginnings[] = {
    {"image_encoder.blocks.", "vision_encoder.layers."},
    {"image_encoder.patch_embed.proj.", "vision_encoder.patch_embed.projection."},
    {"image_encoder.neck.0.", "vision_encoder.neck.conv1."},
    {"image_encoder.neck.1.", "vision_encoder.neck.layer_norm1."},
    {"image_encoder.neck.2.", "vision_encoder.neck.conv2."},
    {"image_encoder.neck.3.", "vision_encoder.neck.layer_norm2."},
    {"image_encoder.", "vision_encoder."},
    {"prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
     "shared_image_embedding.positional_embedding"},
    {"prompt_encoder.point_embeddings.", "prompt_encoder.point_embed."},
    {"prompt_encoder.mask_downscaling.0.", "prompt_encoder.mask_embed.conv1."},
    {"prompt_encoder.mask_downscaling.1.", "prompt_encoder.mask_embed.layer_norm1."},
    {"prompt_encoder.mask_downscaling.3.", "prompt_encoder.mask_embed.conv2."},
    {"prompt_encoder.mask_downscaling.4.", "prompt_encoder.mask_embed.layer_norm2."},
    {"prompt_encoder.mask_downscaling.6.", "prompt_encoder.mask_embed.conv3."},
    {"mask_decoder.output_upscaling.0.", "mask_decoder.upscale_conv1."},
    {"mask_decoder.output_upscaling.1.", "mask_decoder.upscale_layer_norm."},
    {"mask_decoder.output_upscaling.3.", "mask_decoder.upscale_conv2."},
    {"mask_decoder.transformer.norm_final_attn.",
     "mask_decoder.transformer.layer_norm_final_attn."},
};
constexpr std::string_view kPerceptrons[] = {"mask_decoder.output_hypernetworks_mlps.",
                                             "mask_decoder.iou_prediction_head."};

void replace_first(std::string& text, std::string_view from, std::string_view to) {
  size_t at = text.find(from);
  if (at != std::string::npos) text.replace(at, from.size(), to);
}

// The Hugging Face name of a weight. Its perceptrons number only the layers between the first and
// the last.
std::string hf_name(std::string name, const SamConfig& c) {
  for (std::string_view beginning : kPerceptrons) {
    if (!name.starts_with(beginning)) continue;
    int64_t last = beginning == kPerceptrons[0] ? 2 : c.iou_layers - 1;
    for (int64_t i = 0; i <= last; ++i) {
      std::string from = ".layers." + std::to_string(i) + ".";
      if (name.find(from) == std::string::npos) continue;
      std::string to = i == 0      ? ".proj_in."
                       : i == last ? ".proj_out."
                                   : ".layers." + std::to_string(i - 1) + ".";
      replace_first(name, from, to);
      return name;
    }
  }
  for (const Renaming& renaming : kBeginnings) {
    if (!name.starts_with(renaming.meta)) continue;
    name.replace(0, renaming.meta.size(), renaming.hf);
    break;
  }
  if (name.find(".norm") != std::string::npos) replace_first(name, ".norm", ".layer_norm");
  return name;
}

class ShapeReader {
 public:
  ShapeReader(const WeightSource& weights, bool hf) : weights_(weights), hf_(hf) {}

  // The extents of a weight; a missing one is told and taken as ones.
  Extents of(const std::string& meta, int rank) {
    SamConfig naming;
    const WeightInfo* info = weights_.find(hf_ ? hf_name(meta, naming) : meta);
    if (info && info->extents.rank() == rank) return info->extents;
    problems_.add(
        Error(ErrorCode::BadInput, info ? "weight has the wrong rank" : "weight is missing")
            .at(hf_ ? hf_name(meta, naming) : meta)
            .accepted(std::to_string(rank) + " axes"));
    Extents ones;
    for (int i = 0; i < rank; ++i) ones.push_back(1);
    return ones;
  }
  bool has(const std::string& meta) const {
    return weights_.find(hf_ ? hf_name(meta, {}) : meta) != nullptr;
  }
  void need(bool good, std::string_view problem, int64_t got) {
    if (!good) problems_.add(Error(ErrorCode::BadInput, problem).got(std::to_string(got)));
  }
  void throw_if_any() { problems_.throw_if_any(); }

 private:
  const WeightSource& weights_;
  bool hf_;
  Problems problems_;
};

SamConfig read_shapes(ShapeReader& shapes) {
  SamConfig c;
  Extents positions = shapes.of(std::string(kPositions), 4);
  Extents proj = shapes.of("image_encoder.patch_embed.proj.weight", 4);
  c.grid = positions[1], c.dim = positions[3], c.patch = proj[2], c.image = c.grid * c.patch;
  c.head_dim = shapes.of("image_encoder.blocks.0.attn.rel_pos_h", 2)[1];
  c.heads = c.dim / c.head_dim;
  c.ffn = shapes.of("image_encoder.blocks.0.mlp.lin1.weight", 2)[0];
  c.window = 0;
  for (int64_t i = 0;; ++i) {
    std::string name = "image_encoder.blocks." + std::to_string(i) + ".attn.rel_pos_h";
    if (!shapes.has(name)) break;
    int64_t side = (shapes.of(name, 2)[0] + 1) / 2;
    c.global.push_back(side == c.grid);
    if (side != c.grid) c.window = side;
  }
  c.width = shapes.of("image_encoder.neck.0.weight", 4)[0];
  c.mask_channels = shapes.of("prompt_encoder.mask_downscaling.3.weight", 4)[0];
  c.masks = shapes.of("mask_decoder.mask_tokens.weight", 2)[0];
  std::string layer = "mask_decoder.transformer.layers.0.";
  c.decoder_ffn = shapes.of(layer + "mlp.lin1.weight", 2)[0];
  c.cross_width = shapes.of(layer + "cross_attn_token_to_image.q_proj.weight", 2)[0];
  for (c.decoder_layers = 0; shapes.has("mask_decoder.transformer.layers." +
                                        std::to_string(c.decoder_layers) + ".norm1.weight");) {
    ++c.decoder_layers;
  }
  c.iou_ffn = shapes.of("mask_decoder.iou_prediction_head.layers.0.weight", 2)[0];
  shapes.need(positions[2] == c.grid, "the position embedding is not square", positions[2]);
  shapes.need(c.dim % c.head_dim == 0, "head_dim does not divide the width", c.head_dim);
  shapes.need(c.width % 8 == 0, "width must be a multiple of 8", c.width);
  shapes.need(c.cross_width % c.decoder_heads == 0, "attention width must hold 8 heads",
              c.cross_width);
  shapes.throw_if_any();
  return c;
}

// Fields of a Hugging Face config that the shapes do not show: another value is another model.
void check_config(const data::Json& config) {
  struct Wanted {
    std::string_view section, field;
    data::Json value;
  };
  const Wanted wanted[] = {{"vision_config", "hidden_act", "gelu"},
                           {"vision_config", "layer_norm_eps", 1e-6},
                           {"vision_config", "use_rel_pos", true},
                           {"vision_config", "use_abs_pos", true},
                           {"vision_config", "qkv_bias", true},
                           {"prompt_encoder_config", "hidden_act", "gelu"},
                           {"mask_decoder_config", "hidden_act", "relu"},
                           {"mask_decoder_config", "num_attention_heads", 8},
                           {"mask_decoder_config", "iou_head_depth", 3}};
  Problems problems;
  for (const Wanted& w : wanted) {
    const data::Json* section = config.find(w.section);
    const data::Json* value = section ? section->find(w.field) : nullptr;
    if (!value || *value == w.value) continue;
    problems.add(Error(ErrorCode::Unsupported, "unsupported value")
                     .at("config.json " + std::string(w.section) + "." + std::string(w.field))
                     .got(value->dump())
                     .accepted(w.value.dump()));
  }
  problems.throw_if_any();
}

// transformers' files leave out what its classes say by themselves.
double decoder_norm_eps(const data::Json& config, bool hf) {
  const data::Json* section = config.find("mask_decoder_config");
  double left_out = hf && config.find("architectures") ? 1e-6 : SamConfig().decoder_norm_eps;
  return section ? section->get_double("layer_norm_eps", left_out) : left_out;
}

BuiltModel build(const ModelSource& source) {
  bool hf = source.weights.find(kHfPositions) != nullptr;
  check_config(source.config);
  ShapeReader shapes(source.weights, hf);
  SamConfig c = read_shapes(shapes);
  c.decoder_norm_eps = decoder_norm_eps(source.config, hf);
  nn::Weights weights(source.weights);
  if (hf) weights.set_names([c](const std::string& name) { return hf_name(name, c); });
  weights.ignore_suffix("pixel_mean", "a constant of the preprocessing");
  weights.ignore_suffix("pixel_std", "a constant of the preprocessing");
  weights.ignore_suffix("prompt_encoder.shared_embedding.positional_embedding",
                        "a copy of shared_image_embedding.positional_embedding");
  BuiltModel built;
  built.architecture = "sam";
  built.staged = sam_stages(c);
  built.stages.push_back(sam_image_encoder(source, weights, c));
  built.stages.push_back(sam_mask_decoder(source, weights, c, false));
  built.stages.push_back(sam_mask_decoder(source, weights, c, true));
  built.stages.push_back(sam_mask_post(source, weights, c));
  built.stages.push_back(sam_image_prep(source, weights, c));
  built.ledger = weights.finish();
  return built;
}

bool recognises(const WeightSource& weights) {
  constexpr std::string_view kToken = "mask_decoder.iou_token.weight";
  bool encoder = weights.find(kPositions) || weights.find(kHfPositions);
  return encoder && weights.find(kToken);
}

constexpr std::string_view kClasses[] = {"SamModel"};
constexpr std::string_view kKeys[] = {
    "architectures",       "model_type",        "vision_config", "prompt_encoder_config",
    "mask_decoder_config", "initializer_range", "torch_dtype",   "dtype",
    "transformers_version"};

}  // namespace

extern const Architecture kSam;
const Architecture kSam = {"sam",        kClasses, "Segment Anything, ViT-B, ViT-L and ViT-H",
                           kKeys,        build,    recognises,
                           sam_checks_in};

}  // namespace tenon::models
