#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/json.h"
#include "ir/graph.h"
#include "nn/weights.h"
#include "tensor/tensor.h"
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

// Sizes a symbol of a stage's shapes may take.
struct SymbolBounds {
  std::string name;
  int64_t least = 1, most = 1;
};

// An output of one stage that is an input of another.
struct StageFeed {
  std::string from_stage, from_value, to_stage, to_value;
};

// A run of a stage by which a plan is proven. An input is a tensor made up for it, or what an
// earlier call gave.
struct CheckInput {
  Tensor value;
  int call = -1, output = 0;
};
struct CheckCall {
  std::string stage, what;  // "mask_decoder", "three points each"
  std::vector<CheckInput> inputs;
};
struct StageChecks {
  std::string origin;  // "2 generated pictures"
  std::vector<CheckCall> calls;
  std::vector<std::string> sign_outputs;  // by name: logits whose signs are the answer, i.e. masks
};

// A size in which a decoder of prompts is checked: so many together, of so many points each.
struct CheckSize {
  int64_t prompts = 1, points = 2;
};

// A model whose stages take and give plain tensors: everything that is no language model.
struct StagedModelInfo {
  std::string pipeline;                           // who runs the plan: "sam"
  data::Json description = data::Json::object();  // what that pipeline needs to know
  std::vector<SymbolBounds> symbols;              // of all stages
  std::vector<StageFeed> feeds;
  std::function<StageChecks()> make_checks;
  double check_flops = 0;  // of all calls of the checks together, roughly
};

struct BuiltModel {
  std::string architecture;
  LanguageModelInfo language;
  std::optional<StagedModelInfo> staged;  // set: `language` says nothing
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
  // Whether weights alone, published without a config, are this architecture; none: never.
  bool (*recognises)(const WeightSource& weights) = nullptr;
  // Checks in given sizes, from what a plan says about its model
  // (StagedModelInfo::description); none: a language model.
  StageChecks (*checks_in)(const data::Json& description,
                           std::span<const CheckSize> sizes) = nullptr;
};

// The architecture a config names. Throws ErrorCode::Unsupported saying which known one is nearest
// and what differs.
const Architecture& find_architecture(const data::Json& config);
// The architecture of that name; null where there is none.
const Architecture* architecture_named(std::string_view name);
// The architecture that recognises weights which come without a config; null where none does.
const Architecture* recognise_weights(const WeightSource& weights);

}  // namespace tenon::models
