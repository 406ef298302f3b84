// GPT-2. Source: huggingface/transformers src/transformers/models/gpt2/modeling_gpt2.py.
// Its projections are Conv1D: weights lie [in, out].
#include <cmath>

#include "base/limits.h"
#include "models/config_reader.h"
#include "models/model.h"
#include "nn/layers.h"

namespace tenon::models {
namespace {

using nn::Scope;
using nn::ValueId;

struct Config {
  int64_t vocabulary, hidden, layers, heads, ffn, context;
  double eps;
  std::string activation;
  bool scale_scores, scale_by_layer;
};

std::string activation_kind(ConfigReader& reader) {
  std::string name = reader.text("activation_function", "gelu_new");
  if (name == "gelu_new" || name == "gelu_pytorch_tanh") return "gelu_tanh";
  if (name == "gelu") return "gelu_erf";
  if (name == "relu" || name == "silu" || name == "tanh" || name == "quick_gelu") return name;
  reader.problem("activation_function", "unsupported activation", name,
                 "gelu_new, gelu_pytorch_tanh, gelu, relu, silu, tanh, quick_gelu");
  return "gelu_tanh";
}

Config read_config(ConfigReader& reader) {
  Config c;
  reader.refuse_quantised();
  c.vocabulary = reader.whole("vocab_size", 1, kLimits.vocabulary);
  c.hidden = reader.whole("n_embd", 1, kLimits.hidden);
  c.layers = reader.whole("n_layer", 1, kLimits.layers);
  c.heads = reader.whole("n_head", 1, kLimits.heads);
  c.context = reader.whole("n_positions", 1, kLimits.positions);
  c.ffn = reader.whole("n_inner", 1, kLimits.hidden * 16, 4 * c.hidden);
  c.eps = reader.number("layer_norm_epsilon", 0, 1, 1e-5);
  c.activation = activation_kind(reader);
  c.scale_scores = reader.flag("scale_attn_weights", true);
  c.scale_by_layer = reader.flag("scale_attn_by_inverse_layer_idx", false);
  if (c.hidden % c.heads != 0) {
    reader.problem("n_embd", "must be a multiple of n_head", std::to_string(c.hidden),
                   "a multiple of " + std::to_string(c.heads));
  }
  reader.optional_token_id("pad_token_id", c.vocabulary);
  if (!reader.flag("tie_word_embeddings", true)) {
    reader.problem("tie_word_embeddings", "an untied head is not supported for gpt2", "false",
                   "true");
  }
  if (reader.flag("add_cross_attention", false)) {
    reader.problem("add_cross_attention", "cross-attention is not supported for gpt2", "true",
                   "false");
  }
  return c;
}

ValueId block(const Scope& scope, ValueId x, const Config& c, const nn::RaggedInputs& inputs,
              int64_t layer) {
  int64_t head_dim = c.hidden / c.heads;
  Scope attention = scope / "attn";
  ValueId normed = nn::layer_norm(scope / "ln_1", x, c.hidden, c.eps);
  ValueId qkv = nn::linear(attention / "c_attn", normed, {c.hidden, 3 * c.hidden, true, true});
  ValueId q = nn::slice_columns(attention / "q", qkv, 0, c.hidden);
  ValueId k = nn::slice_columns(attention / "k", qkv, c.hidden, 2 * c.hidden);
  ValueId v = nn::slice_columns(attention / "v", qkv, 2 * c.hidden, 3 * c.hidden);
  double scale = c.scale_scores ? 1.0 / std::sqrt(static_cast<double>(head_dim)) : 1.0;
  if (c.scale_by_layer) scale /= static_cast<double>(layer + 1);
  nn::AttentionOptions options{layer, c.heads, c.heads, head_dim, 0, scale, 0.0};
  ValueId mixed = nn::cached_attention(attention, q, k, v, inputs, options, {});
  x = nn::add(scope / "attention_residual", x,
              nn::linear(attention / "c_proj", mixed, {c.hidden, c.hidden, true, true}));

  Scope mlp = scope / "mlp";
  normed = nn::layer_norm(scope / "ln_2", x, c.hidden, c.eps);
  ValueId inner = nn::linear(mlp / "c_fc", normed, {c.hidden, c.ffn, true, true});
  inner = nn::unary(mlp / "act", c.activation, inner);
  return nn::add(scope, x, nn::linear(mlp / "c_proj", inner, {c.ffn, c.hidden, true, true}));
}

BuiltModel build(const ModelSource& source);

constexpr std::string_view kKeys[] = {"architectures",
                                      "model_type",
                                      "vocab_size",
                                      "n_embd",
                                      "n_layer",
                                      "n_head",
                                      "n_positions",
                                      "n_ctx",
                                      "n_inner",
                                      "layer_norm_epsilon",
                                      "activation_function",
                                      "scale_attn_weights",
                                      "scale_attn_by_inverse_layer_idx",
                                      "reorder_and_upcast_attn",
                                      "add_cross_attention",
                                      "tie_word_embeddings",
                                      "bos_token_id",
                                      "eos_token_id",
                                      "pad_token_id",
                                      "attn_pdrop",
                                      "embd_pdrop",
                                      "resid_pdrop",
                                      "initializer_range",
                                      "summary_activation",
                                      "summary_first_dropout",
                                      "summary_proj_to_labels",
                                      "summary_type",
                                      "summary_use_proj",
                                      "task_specific_params",
                                      "torch_dtype",
                                      "dtype",
                                      "transformers_version",
                                      "use_cache",
                                      "_name_or_path",
                                      "_num_labels",
                                      "id2label",
                                      "label2id",
                                      "return_dict",
                                      "output_attentions",
                                      "output_hidden_states",
                                      "gradient_checkpointing",
                                      "output_past"};
constexpr std::string_view kClasses[] = {"GPT2LMHeadModel"};

}  // namespace

extern const Architecture kGpt2;
const Architecture kGpt2 = {"gpt2", kClasses, "GPT-2, all sizes", kKeys, build};

namespace {

BuiltModel build(const ModelSource& source) {
  ConfigReader reader(source.config);
  Config c = read_config(reader);
  BuiltModel built;
  built.architecture = "gpt2";
  for (const std::string& key : reader.unknown(kKeys)) {
    built.notes.push_back("config.json: field " + key + " is not used");
  }
  int64_t head_dim = c.hidden / c.heads;
  built.language = {c.vocabulary, c.hidden,  c.layers, c.heads, c.heads,
                    head_dim,     c.context, -1,       {}};
  const data::Json* eos = source.generation.find("eos_token_id");
  built.language.eos =
      token_ids(reader, eos ? eos : reader.find("eos_token_id"), "eos_token_id", c.vocabulary);
  std::vector<int64_t> bos =
      token_ids(reader, reader.find("bos_token_id"), "bos_token_id", c.vocabulary);
  if (!bos.empty()) built.language.bos = bos[0];
  reader.throw_if_any();

  nn::Weights weights(source.weights);
  weights.set_optional_prefix("transformer.");
  weights.ignore_suffix("attn.bias", "a buffer: the causal mask");
  weights.ignore_suffix("attn.masked_bias", "a buffer: the mask's value");
  ir::Graph graph("decoder", source.catalogue);
  nn::RaggedInputs inputs = nn::add_ragged_inputs(graph, c.hidden);
  Scope model = Scope(graph, weights) / "transformer";
  ValueId tokens = nn::embedding(model / "wte", inputs.ids, c.vocabulary, c.hidden, inputs.embeds);
  ValueId positions = nn::embedding(model / "wpe", inputs.positions, c.context, c.hidden);
  ValueId x = nn::add(model / "embedding_sum", tokens, positions);
  for (int64_t layer = 0; layer < c.layers; ++layer)
    x = block(model / "h" / layer, x, c, inputs, layer);
  x = nn::layer_norm(model / "ln_f", x, c.hidden, c.eps);
  x = graph.add_node1({"gather_rows", {}, {x, inputs.logit_rows}, "logit_rows", 1});
  ValueId logits = nn::linear(model / "wte", x, {c.hidden, c.vocabulary});
  graph.node(static_cast<ir::NodeId>(graph.nodes().size()) - 1).module = "lm_head";
  weights.tie("lm_head.weight", "transformer.wte.weight");
  graph.add_output("logits", logits);
  built.ledger = weights.finish();
  built.stages.push_back(std::move(graph));
  return built;
}

}  // namespace

}  // namespace tenon::models
