// C01 to C05: configurations and weights that do not fit together, in folders made from the tiny
// models of the golden tests.
#include <cstdio>
#include <cstdlib>

#include "bad_input.h"
#include "compiler/import_model.h"
#include "data/json.h"
#include "frontends/safetensors/safetensors_file.h"
#include "frontends/safetensors/safetensors_writer.h"

namespace tenon::bad_inputs {
namespace {

using data::Json;
using frontends::NamedTensor;

const std::string kModels = TENON_GOLDEN_MODELS;

// Changes the tensors of a model before they are written; `memory` keeps what is made.
using ChangeWeights = std::function<void(std::vector<NamedTensor>&, std::vector<Tensor>& memory)>;

std::string write_model(const Folder& folder, const std::string& model, const Json& changes,
                        const ChangeWeights& change_weights = {}) {
  Json config = data::read_json_file(kModels + model + "/config.json");
  for (const auto& [key, value] : changes.as_object("changes")) config.set(key, value);
  folder.write("model/config.json", config.dump());
  auto weights = frontends::SafetensorsFile::open(kModels + model + "/model.safetensors");
  std::vector<NamedTensor> tensors;
  std::vector<Tensor> memory;
  for (const WeightInfo& info : weights->weights()) {
    tensors.push_back({info.name, weights->view(info.name)});
  }
  if (change_weights) change_weights(tensors, memory);
  frontends::write_safetensors(folder.file("model/model.safetensors"), tensors);
  return folder.file("model");
}

// As a build does; notes about fields are warnings.
void use_model(const std::string& path) {
  compiler::ImportedModel model = compiler::import_model(path);
  for (const std::string& note : model.notes) {
    if (note.find("field") != note.npos || note.find("unused") != note.npos)
      std::fprintf(stderr, "%s\n", note.c_str());
  }
}

class Configs {
 public:
  void add(const std::string& row, const std::string& name, const std::string& model, Json changes,
           const std::string& message, Expect expect = Expect::Refuse,
           std::vector<ErrorCode> codes = {ErrorCode::BadInput}) {
    auto make = [model, changes](const Folder& folder) {
      return write_model(folder, model, changes);
    };
    cases_.push_back({row, name, expect, make, message, use_model, std::move(codes)});
  }
  // One field of the LLaMA.
  void field(const std::string& row, const std::string& name, const std::string& key, Json value,
             const std::string& message = "") {
    Json changes = Json::object();
    changes.set(key, std::move(value));
    add(row, name, "llama/base", changes, message.empty() ? key : message);
  }
  void weights(const std::string& name, const ChangeWeights& change, const std::string& message) {
    auto make = [change](const Folder& folder) {
      return write_model(folder, "llama/base", Json::object(), change);
    };
    cases_.push_back({"C05", name, Expect::Refuse, make, message, use_model});
  }
  // A tensor that no layer asks for: named, and the model is good.
  void unused(const std::string& name, const std::string& tensor) {
    auto add = [tensor](auto& tensors, auto& memory) {
      memory.push_back(Tensor::make_zeros(DType::F32, {4}));
      tensors.push_back({tensor, memory.back().view()});
    };
    auto make = [add](const Folder& folder) {
      return write_model(folder, "llama/base", Json::object(), add);
    };
    cases_.push_back({"C05", name, Expect::Warn, make, tensor, use_model});
  }
  std::vector<Case> take() { return std::move(cases_); }

 private:
  std::vector<Case> cases_;
};

void add_sizes(Configs& configs) {  // C01
  configs.field("C01", "NoLayers", "num_hidden_layers", 0);
  configs.field("C01", "BillionLayers", "num_hidden_layers", 1'000'000'000);
  configs.field("C01", "MoreLayersThanWeights", "num_hidden_layers", 4000, "problems");
  configs.field("C01", "NoHeads", "num_attention_heads", 0);
  configs.field("C01", "HeadsDoNotDivide", "num_attention_heads", 7);
  configs.field("C01", "MoreKvHeadsThanHeads", "num_key_value_heads", 64);
  configs.field("C01", "NoKvHeads", "num_key_value_heads", 0);
  configs.field("C01", "NegativeVocabulary", "vocab_size", -1);
  configs.field("C01", "HugeVocabulary", "vocab_size", int64_t{1} << 40);
  configs.field("C01", "HugeHeadDim", "head_dim", int64_t{1} << 31);
  configs.field("C01", "HugeHidden", "hidden_size", int64_t{1} << 40);
  configs.field("C01", "NegativeHidden", "hidden_size", -64);
  configs.field("C01", "HiddenAsText", "hidden_size", "64");
  configs.field("C01", "HiddenAsFraction", "hidden_size", 64.5);
  configs.field("C01", "NoPositions", "max_position_embeddings", 0);
  configs.field("C01", "HugePositions", "max_position_embeddings", int64_t{1} << 50);
  Json gpt2 = Json::object();
  gpt2.set("n_layer", 1'000'000'000).set("n_head", 0).set("n_embd", -1);
  configs.add("C01", "Gpt2AllAtOnce", "gpt2/base", gpt2, "n_layer");
}

void add_fields(Configs& configs) {  // C02
  configs.field("C02", "EosPastTheVocabulary", "eos_token_id", 1 << 20);
  configs.field("C02", "EosListPastTheVocabulary", "eos_token_id", Json::Array{1, 1 << 20});
  configs.field("C02", "EosAsText", "eos_token_id", "</s>");
  configs.field("C02", "BosPastTheVocabulary", "bos_token_id", 1 << 20);
  configs.field("C02", "PadPastTheVocabulary", "pad_token_id", 1 << 20);
  configs.field("C02", "VocabularyIsNotTheRows", "vocab_size", 10, "embed_tokens.weight");
  configs.field("C02", "LayerTypesTooShort", "layer_types", Json::Array{"full_attention"});
  configs.field("C02", "LayerTypesUnknown", "layer_types", "everything");
  configs.field("C02", "NoRmsEps", "rms_norm_eps", -1.0);
  configs.field("C02", "NoTheta", "rope_theta", 0.0);
  auto scaling = [&](const std::string& name, Json factor) {
    Json rope = Json::object();
    rope.set("rope_type", "linear").set("factor", std::move(factor));
    configs.field("C02", name, "rope_scaling", rope, "factor");
  };
  scaling("RopeFactorZero", 0.0);
  scaling("RopeFactorNegative", -2.0);
  scaling("RopeFactorNull", nullptr);
  scaling("RopeFactorText", "many");
  for (int window : {0, -4096}) {
    Json changes = Json::object();
    changes.set("sliding_window", window);
    configs.add("C02", window ? "WindowNegative" : "WindowZero", "mistral/base", changes,
                "sliding_window");
  }
}

void add_promises(Configs& configs) {  // C03, C04
  Json quantised = Json::object();
  quantised.set("quant_method", "gptq").set("bits", 5).set("group_size", 0);
  Json changes = Json::object();
  changes.set("quantization_config", quantised);
  configs.add("C03", "FiveBitsInGroupsOfNone", "llama/base", changes, "quantization_config",
              Expect::Refuse, {ErrorCode::BadInput, ErrorCode::Unsupported});
  auto harmless = [&](const std::string& name, const std::string& key, Json value, Expect expect) {
    Json one = Json::object();
    one.set(key, std::move(value));
    configs.add("C04", name, "llama/base", one, key, expect);
  };
  Json map = Json::object();
  map.set("AutoModelForCausalLM", "modeling_evil.EvilForCausalLM");
  harmless("AutoMap", "auto_map", map, Expect::Warn);
  harmless("TrustRemoteCode", "trust_remote_code", true, Expect::Warn);
  harmless("CustomPipelines", "custom_pipelines", map, Expect::Warn);
  harmless("PathOutside", "_name_or_path", "../../etc/passwd", Expect::Accept);
  Json evil = Json::object();
  evil.set("architectures", Json::Array{"../../evil"});
  configs.add("C04", "UnknownClass", "llama/base", evil, "evil", Expect::Refuse,
              {ErrorCode::Unsupported});
}

NamedTensor& find(std::vector<NamedTensor>& tensors, const std::string& name) {
  for (NamedTensor& tensor : tensors) {
    if (tensor.name == name) return tensor;
  }
  std::abort();  // a mistake in the case itself
}

void add_weights(Configs& configs) {  // C05
  configs.weights(
      "TwoMissing",
      [](auto& tensors, auto&) {
        std::erase_if(tensors, [](const NamedTensor& tensor) {
          return tensor.name == "model.norm.weight" ||
                 tensor.name == "model.layers.0.mlp.up_proj.weight";
        });
      },
      "model.norm.weight");
  configs.weights(
      "Transposed",
      [](auto& tensors, auto& memory) {
        NamedTensor& tensor = find(tensors, "model.layers.0.mlp.up_proj.weight");
        Extents swapped = {tensor.view.extents[1], tensor.view.extents[0]};
        memory.push_back(Tensor::make_zeros(tensor.view.dtype, swapped));
        tensor.view = memory.back().view();
      },
      "(transposed?)");
  configs.weights(
      "OtherType",
      [](auto& tensors, auto& memory) {
        NamedTensor& tensor = find(tensors, "model.norm.weight");
        memory.push_back(Tensor::make_zeros(DType::I64, tensor.view.extents));
        tensor.view = memory.back().view();
      },
      "wanted f32, f16 or bf16, found i64");
  configs.unused("Extra", "model.layers.9.unheard_of");
  configs.weights(
      "AllMissing", [](auto& tensors, auto&) { tensors.resize(1); }, "problems");
}

}  // namespace

std::vector<Case> config_cases() {
  Configs configs;
  add_sizes(configs);
  add_fields(configs);
  add_promises(configs);
  add_weights(configs);
  return configs.take();
}

}  // namespace tenon::bad_inputs
