// LLaMA 1, 2, 3.x, Vicuna; and Mistral and Qwen2, which differ in biases and windows only.
// Source: huggingface/transformers src/transformers/models/{llama,mistral,qwen2}/.
#include <cmath>

#include "base/limits.h"
#include "models/config_reader.h"
#include "models/model.h"
#include "models/rotary.h"
#include "nn/layers.h"

namespace tenon::models {
namespace {

using nn::Scope;
using nn::ValueId;

struct Config {
  int64_t vocabulary, hidden, layers, heads, kv_heads, head_dim, ffn, context, window = 0;
  double eps;
  std::string activation;
  bool tied, qkv_bias, out_bias, mlp_bias;
  Rotary rotary;
};

enum class Family { Llama, Mistral, Qwen2 };

void read_window(ConfigReader& reader, Family family, Config& config) {
  const data::Json* window = reader.find("sliding_window");
  if (family == Family::Llama || !window) return;
  if (family == Family::Qwen2 && !reader.flag("use_sliding_window", false)) return;
  config.window = reader.whole("sliding_window", 1, kLimits.positions);
  // Qwen2 windows only the layers from max_window_layers on; no published checkpoint switches it
  // on.
  if (family == Family::Qwen2) {
    reader.problem("use_sliding_window", "sliding windows of Qwen2 are not supported", "true",
                   "false");
  }
}

// transformers may list each layer's kind of attention; all must be what the rest of the config
// says.
void check_layer_types(ConfigReader& reader, const Config& c) {
  const data::Json* types = reader.find("layer_types");
  if (!types) return;
  std::string wanted = c.window > 0 ? "sliding_attention" : "full_attention";
  bool good =
      types->is_array() && static_cast<int64_t>(types->as_array("layer_types").size()) == c.layers;
  for (size_t i = 0; good && i < types->as_array("layer_types").size(); ++i) {
    good = types->as_array("layer_types")[i] == data::Json(wanted);
  }
  if (!good) {
    reader.problem("layer_types", "layers of several kinds, or not one entry a layer",
                   types->dump(), std::to_string(c.layers) + " times " + wanted);
  }
}

Config read_config(ConfigReader& reader, Family family) {
  Config c;
  reader.refuse_quantised();
  c.vocabulary = reader.whole("vocab_size", 1, kLimits.vocabulary);
  c.hidden = reader.whole("hidden_size", 1, kLimits.hidden);
  c.layers = reader.whole("num_hidden_layers", 1, kLimits.layers);
  c.heads = reader.whole("num_attention_heads", 1, kLimits.heads);
  c.kv_heads = reader.whole("num_key_value_heads", 1, kLimits.heads, c.heads);
  c.ffn = reader.whole("intermediate_size", 1, kLimits.hidden * 16);
  c.context = reader.whole("max_position_embeddings", 1, kLimits.positions, 2048);
  c.head_dim = reader.whole("head_dim", 1, 4096, c.hidden / c.heads);
  if (!reader.find("head_dim") && c.hidden % c.heads != 0) {
    reader.problem("hidden_size", "must be a multiple of num_attention_heads",
                   std::to_string(c.hidden), "a multiple of " + std::to_string(c.heads));
  }
  if (c.kv_heads > c.heads || c.heads % c.kv_heads != 0) {
    reader.problem("num_key_value_heads", "must divide num_attention_heads",
                   std::to_string(c.kv_heads), "a divisor of " + std::to_string(c.heads));
  }
  if (c.head_dim % 2 != 0)
    reader.problem("head_dim", "must be even", std::to_string(c.head_dim), "an even number");
  c.eps = reader.number("rms_norm_eps", 0, 1, 1e-6);
  c.activation = reader.text("hidden_act", "silu");
  if (c.activation != "silu")
    reader.problem("hidden_act", "unsupported activation", c.activation, "silu");
  c.tied = reader.flag("tie_word_embeddings", false);
  bool attention_bias = reader.flag("attention_bias", false);
  c.qkv_bias = family == Family::Qwen2 || attention_bias;
  c.out_bias = family == Family::Llama && attention_bias;
  c.mlp_bias = reader.flag("mlp_bias", false);
  double partial = reader.number("partial_rotary_factor", 0, 1, 1.0);
  if (partial != 1.0)
    reader.problem("partial_rotary_factor", "unsupported", format_double(partial), "1");
  read_window(reader, family, c);
  check_layer_types(reader, c);
  reader.optional_token_id("pad_token_id", c.vocabulary);
  c.rotary = read_rotary(reader, c.head_dim, c.context);
  return c;
}

ValueId decoder_layer(const Scope& scope, ValueId x, const Config& c,
                      const nn::RaggedInputs& inputs, const nn::RotaryOptions& rotary,
                      int64_t layer) {
  int64_t q_size = c.heads * c.head_dim, kv_size = c.kv_heads * c.head_dim;
  Scope attention = scope / "self_attn";
  ValueId normed = nn::rms_norm(scope / "input_layernorm", x, c.hidden, c.eps);
  ValueId q = nn::linear(attention / "q_proj", normed, {c.hidden, q_size, c.qkv_bias});
  ValueId k = nn::linear(attention / "k_proj", normed, {c.hidden, kv_size, c.qkv_bias});
  ValueId v = nn::linear(attention / "v_proj", normed, {c.hidden, kv_size, c.qkv_bias});
  nn::AttentionOptions options{layer,      c.heads,
                               c.kv_heads, c.head_dim,
                               c.window,   1.0 / std::sqrt(static_cast<double>(c.head_dim)),
                               0.0};
  ValueId mixed = nn::cached_attention(attention, q, k, v, inputs, options, rotary);
  x = nn::add(scope / "attention_residual", x,
              nn::linear(attention / "o_proj", mixed, {q_size, c.hidden, c.out_bias}));

  Scope mlp = scope / "mlp";
  normed = nn::rms_norm(scope / "post_attention_layernorm", x, c.hidden, c.eps);
  ValueId gate = nn::linear(mlp / "gate_proj", normed, {c.hidden, c.ffn, c.mlp_bias});
  ValueId up = nn::linear(mlp / "up_proj", normed, {c.hidden, c.ffn, c.mlp_bias});
  ValueId product = nn::mul(mlp / "product", nn::unary(mlp / "act_fn", c.activation, gate), up);
  return nn::add(scope, x, nn::linear(mlp / "down_proj", product, {c.ffn, c.hidden, c.mlp_bias}));
}

BuiltModel build(const ModelSource& source, const Architecture& architecture, Family family) {
  ConfigReader reader(source.config);
  Config c = read_config(reader, family);
  BuiltModel built;
  built.architecture = architecture.name;
  for (const std::string& key : reader.unknown(architecture.known_config_keys)) {
    built.notes.push_back("config.json: field " + key + " is not used");
  }
  built.language = {c.vocabulary, c.hidden,  c.layers, c.heads, c.kv_heads,
                    c.head_dim,   c.context, -1,       {}};
  const data::Json* eos = source.generation.find("eos_token_id");
  built.language.eos =
      token_ids(reader, eos ? eos : reader.find("eos_token_id"), "eos_token_id", c.vocabulary);
  std::vector<int64_t> bos =
      token_ids(reader, reader.find("bos_token_id"), "bos_token_id", c.vocabulary);
  if (!bos.empty()) built.language.bos = bos[0];
  reader.throw_if_any();

  nn::Weights weights(source.weights);
  weights.ignore_suffix("rotary_emb.inv_freq", "a buffer: computed from config.json");
  ir::Graph graph("decoder", source.catalogue);
  nn::RaggedInputs inputs = nn::add_ragged_inputs(graph, c.hidden);
  Scope root(graph, weights), model = root / "model";
  auto table = std::make_shared<Tensor>(
      Tensor::make_from<float>(DType::F32, {static_cast<int64_t>(c.rotary.inv_freq.size())},
                               std::span<const float>(c.rotary.inv_freq)));
  nn::RotaryOptions rotary{graph.add_constant("rotary.inv_freq", Recipe::literal(table)), false,
                           c.rotary.scale};

  ValueId x =
      nn::embedding(model / "embed_tokens", inputs.ids, c.vocabulary, c.hidden, inputs.embeds);
  for (int64_t layer = 0; layer < c.layers; ++layer) {
    x = decoder_layer(model / "layers" / layer, x, c, inputs, rotary, layer);
  }
  x = nn::rms_norm(model / "norm", x, c.hidden, c.eps);
  x = graph.add_node1({"gather_rows", {}, {x, inputs.logit_rows}, "logit_rows", 1});
  Scope head = c.tied ? model / "embed_tokens" : root / "lm_head";
  ValueId logits = nn::linear(head, x, {c.hidden, c.vocabulary});
  graph.node(static_cast<ir::NodeId>(graph.nodes().size()) - 1).module = "lm_head";
  if (c.tied) weights.tie("lm_head.weight", "model.embed_tokens.weight");
  graph.add_output("logits", logits);
  built.ledger = weights.finish();
  built.stages.push_back(std::move(graph));
  return built;
}

constexpr std::string_view kKeys[] = {"architectures",
                                      "model_type",
                                      "vocab_size",
                                      "hidden_size",
                                      "num_hidden_layers",
                                      "num_attention_heads",
                                      "num_key_value_heads",
                                      "intermediate_size",
                                      "max_position_embeddings",
                                      "head_dim",
                                      "rms_norm_eps",
                                      "hidden_act",
                                      "tie_word_embeddings",
                                      "attention_bias",
                                      "mlp_bias",
                                      "sliding_window",
                                      "use_sliding_window",
                                      "max_window_layers",
                                      "rope_theta",
                                      "rope_scaling",
                                      "rope_parameters",
                                      "partial_rotary_factor",
                                      "bos_token_id",
                                      "eos_token_id",
                                      "pad_token_id",
                                      "torch_dtype",
                                      "dtype",
                                      "transformers_version",
                                      "use_cache",
                                      "initializer_range",
                                      "attention_dropout",
                                      "pretraining_tp",
                                      "_name_or_path",
                                      "max_sequence_length",
                                      "layer_types",
                                      "return_dict",
                                      "output_attentions",
                                      "output_hidden_states",
                                      "chunk_size_feed_forward",
                                      "is_encoder_decoder",
                                      "id2label",
                                      "label2id",
                                      "problem_type",
                                      "unk_token_id"};
constexpr std::string_view kLlamaClasses[] = {"LlamaForCausalLM", "LLaMAForCausalLM"};
constexpr std::string_view kMistralClasses[] = {"MistralForCausalLM"};
constexpr std::string_view kQwen2Classes[] = {"Qwen2ForCausalLM"};

}  // namespace

extern const Architecture kLlama, kMistral, kQwen2;

const Architecture kLlama = {
    "llama", kLlamaClasses, "LLaMA 1, 2, 3.x, Vicuna", kKeys,
    [](const ModelSource& source) { return build(source, kLlama, Family::Llama); }};
const Architecture kMistral = {
    "mistral", kMistralClasses, "Mistral, with its sliding window", kKeys,
    [](const ModelSource& source) { return build(source, kMistral, Family::Mistral); }};
const Architecture kQwen2 = {
    "qwen2", kQwen2Classes, "Qwen2 and 2.5", kKeys,
    [](const ModelSource& source) { return build(source, kQwen2, Family::Qwen2); }};

}  // namespace tenon::models
