#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/json.h"
#include "ops/attributes.h"
#include "plan/tactics.h"
#include "tensor/value_type.h"

namespace tenon::plan {

// The contents of a plan file, without its weights' bytes. Data only: nothing here is ever
// executed. docs/formats/plan.md is the written form of this header.

enum class ValueRole { Input, Constant, State, Intermediate };

// One tensor of a stage. Values refer to each other by index into Stage::values.
struct ValueInfo {
  ValueRole role = ValueRole::Intermediate;
  ValueType type;
  std::vector<std::string> names;  // the user's names: module path, checkpoint key. May be empty
  int32_t constant = -1;           // Constant: index into Plan::constants
  int32_t first_step = -1;         // Intermediate: the step that writes it
  int32_t last_step = -1;          // Intermediate: the last step that reads it (or first_step)
};

enum class Placement { Device, Host };

struct Region;

// One op call. Inputs that are absent are -1.
struct Step {
  std::string op;
  int version = 1;
  ops::Attributes attributes;
  std::vector<int32_t> inputs, outputs;
  std::string module;  // "model.layers.3.mlp.down_proj": where a person looks for it
  Placement placement = Placement::Device;
  std::vector<Region> regions;  // bodies of branch and loop
};

struct Region {
  std::vector<int32_t> inputs, outputs;
  std::vector<Step> steps;
};

// A symbol of the stage's shapes and the range the plan was built for.
struct SymbolRange {
  std::string name;
  int64_t least = 0, most = 0;
};

// A graph with inputs, outputs and states.
struct Stage {
  std::string name;  // "decoder", "sample", "image_encoder"
  int ranks = 1;     // devices it is split over
  std::vector<SymbolRange> symbols;
  std::vector<ValueInfo> values;
  std::vector<Step> steps;
  std::vector<int32_t> inputs, outputs, states;
};

// The output of one stage that is the input of another (or of the next call: state across frames).
struct Feed {
  std::string from_stage, from_value, to_stage, to_value;
};

// A weight in the file. `offset` counts from the start of the weights section, a multiple of 256.
struct Constant {
  std::string name;  // "model.layers.0.mlp.gate_up_proj.weight": unique
  DType dtype = DType::F32;
  Extents extents;
  int64_t offset = 0, bytes = 0;
  std::string recipe;                // Recipe::to_string()
  std::vector<std::string> sources;  // the checkpoint tensors it was made from
};

// What was measured about the plan; outside its identity.
struct Evidence {
  data::Json entries = data::Json::array();
};

struct Plan {
  std::string architecture;                 // "llama"
  std::string name;                         // what people call the model
  std::string pipeline;                     // "llm", "vision", ...: who knows how to run the stages
  data::Json model = data::Json::object();  // what the pipeline needs: vocabulary, layers, context
  data::Json generation = data::Json::object();  // sampling defaults, stop ids
  data::Json precision = data::Json::object();   // dtypes and quantisation recipe
  data::Json budgets = data::Json::object();     // the fidelity budgets the plan was held to
  data::Json provenance = data::Json::object();  // source files and digests, options, tenon version
  data::Json self_test = data::Json::object();   // small inputs with expected outputs
  std::string tokenizer;                         // text::Tokenizer::serialise(); may be empty
  std::string chat_template;                     // may be empty
  std::vector<Stage> stages;
  std::vector<Feed> feeds;
  std::vector<TacticSet> tactics;  // measured choices, at most one set a device
  std::vector<Constant> constants;
  std::string graph_before, graph_after;  // the text of the graphs before and after the passes
};

// Index of the stage of that name, or throws ErrorCode::BadInput.
const Stage& find_stage(const Plan& plan, std::string_view name);

}  // namespace tenon::plan
