#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/json.h"
#include "ir/graph.h"
#include "nn/weights.h"
#include "tensor/weight_source.h"

namespace tenon::models {

// What a model is made from.
struct ModelSource {
  const data::Json& config;
  const data::Json& generation;
  const WeightSource& weights;
  const ops::Catalogue& catalogue;
};

// What the pipeline of a language model needs to know.
struct LanguageModelInfo {
  int64_t vocabulary = 0, hidden = 0, layers = 0, heads = 0, kv_heads = 0, head_dim = 0;
  int64_t context = 0;  // positions the model was made for
  int64_t bos = -1;     // -1: none
  std::vector<int64_t> eos;
};

struct BuiltModel {
  std::string architecture;
  LanguageModelInfo language;
  std::vector<ir::Graph> stages;
  nn::Ledger ledger;
  std::vector<std::string> notes;  // what a person should know: ignored fields, tied weights
};

// One architecture: how its config and checkpoint keys become a graph. Adding one is a file and a
// line in model_list.cc.
struct Architecture {
  std::string_view name;                         // "llama"
  std::span<const std::string_view> hf_classes;  // "LlamaForCausalLM"
  std::string_view what;                         // one line for people
  // Config keys that change the result if present and not understood end in an error; these are
  // understood, or known to be harmless.
  std::span<const std::string_view> known_config_keys;
  // Throws ErrorCode::BadInput listing every problem of config and weights.
  BuiltModel (*build)(const ModelSource& source);
};

// The architecture a config names. Throws ErrorCode::Unsupported saying which known one is nearest
// and what differs.
const Architecture& find_architecture(const data::Json& config);

}  // namespace tenon::models
