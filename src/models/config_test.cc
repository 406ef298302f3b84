// Hostile and mistaken configs: rows C01 to C05 of the bad-input matrix. Each must be refused
// before anything is allocated, naming the field, with all problems in one error.
#include <gtest/gtest.h>

#include "models/model_list.h"
#include "ops/op_list.h"

namespace tenon::models {
namespace {

class ListedSource : public WeightSource {
 public:
  explicit ListedSource(std::vector<WeightInfo> infos) : infos_(std::move(infos)) {}
  const std::vector<WeightInfo>& weights() const override { return infos_; }
  const WeightInfo* find(std::string_view name) const override {
    for (const WeightInfo& info : infos_) {
      if (info.name == name) return &info;
    }
    return nullptr;
  }
  TensorView view(std::string_view) const override { return {}; }

 private:
  std::vector<WeightInfo> infos_;
};

constexpr std::string_view kLlamaConfig =
    R"({"architectures": ["LlamaForCausalLM"], "vocab_size": 32,
  "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2,
  "intermediate_size": 24, "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "bos_token_id": 1,
  "eos_token_id": 2})";

std::vector<WeightInfo> llama_weights() {
  std::string layer = "model.layers.0.";
  return {{"model.embed_tokens.weight", DType::F32, {32, 16}},
          {layer + "input_layernorm.weight", DType::F32, {16}},
          {layer + "self_attn.q_proj.weight", DType::F32, {16, 16}},
          {layer + "self_attn.k_proj.weight", DType::F32, {8, 16}},
          {layer + "self_attn.v_proj.weight", DType::F32, {8, 16}},
          {layer + "self_attn.o_proj.weight", DType::F32, {16, 16}},
          {layer + "post_attention_layernorm.weight", DType::F32, {16}},
          {layer + "mlp.gate_proj.weight", DType::F32, {24, 16}},
          {layer + "mlp.up_proj.weight", DType::F32, {24, 16}},
          {layer + "mlp.down_proj.weight", DType::F32, {16, 24}},
          {"model.norm.weight", DType::F32, {16}},
          {"lm_head.weight", DType::F32, {32, 16}}};
}

BuiltModel build(const data::Json& config, std::vector<WeightInfo> weights = llama_weights(),
                 std::string_view generation = "{}") {
  ListedSource source(std::move(weights));
  data::Json generation_json = data::parse_json(generation);
  return find_architecture(config).build(
      {config, generation_json, source, ops::builtin_catalogue()});
}

struct Row {
  const char* field;
  const char* value;  // JSON
};

class BadConfig : public ::testing::TestWithParam<Row> {};

TEST_P(BadConfig, IsRefusedNamingTheField) {
  data::Json config = data::parse_json(kLlamaConfig);
  config.set(GetParam().field, data::parse_json(GetParam().value));
  try {
    build(config);
    FAIL() << GetParam().field << " = " << GetParam().value;
  } catch (const Error& error) {
    EXPECT_TRUE(error.code() == ErrorCode::BadInput || error.code() == ErrorCode::Unsupported);
    EXPECT_NE(std::string(error.what()).find(GetParam().field), std::string::npos) << error.what();
  }
}

INSTANTIATE_TEST_SUITE_P(
    Rows, BadConfig,
    ::testing::Values(
        // C01
        Row{"num_hidden_layers", "0"}, Row{"num_hidden_layers", "1000000000"},
        Row{"num_attention_heads", "0"}, Row{"hidden_size", "18"}, Row{"num_key_value_heads", "8"},
        Row{"num_key_value_heads", "3"}, Row{"vocab_size", "-1"}, Row{"head_dim", "2147483648"},
        Row{"head_dim", "3"}, Row{"hidden_size", "\"16\""}, Row{"intermediate_size", "1.5"},
        Row{"max_position_embeddings", "0"}, Row{"rms_norm_eps", "0"}, Row{"rms_norm_eps", "-1e-5"},
        Row{"hidden_act", "\"gelu\""}, Row{"tie_word_embeddings", "1"},
        // C02
        Row{"eos_token_id", "32"}, Row{"eos_token_id", "[2, 99]"}, Row{"bos_token_id", "-5"},
        Row{"pad_token_id", "32"}, Row{"layer_types", "[\"full_attention\", \"full_attention\"]"},
        Row{"layer_types", "[\"sliding_attention\"]"}, Row{"rope_theta", "0"},
        Row{"rope_scaling", "{\"type\": \"linear\", \"factor\": 0}"},
        Row{"rope_scaling", "{\"type\": \"longrope\"}"}, Row{"rope_scaling", "[1]"},
        // C03
        Row{"quantization_config",
            "{\"quant_method\": \"gptq\", \"bits\": 4, \"group_size\": 0}"}));

TEST(Config, AllProblemsAreReportedAtOnce) {
  data::Json config = data::parse_json(kLlamaConfig);
  config.set("num_hidden_layers", 0).set("vocab_size", -1).set("rms_norm_eps", 0);
  try {
    build(config);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("3 problems"), std::string::npos) << error.what();
  }
}

TEST(Config, MistralWindowMustBePositive) {
  data::Json config = data::parse_json(kLlamaConfig);
  config.set("architectures", data::Json::Array{"MistralForCausalLM"});
  for (int64_t window : {0, -4}) {
    config.set("sliding_window", window);
    EXPECT_THROW(build(config), Error) << window;
  }
}

TEST(Config, GenerationEosOutsideTheVocabularyIsRefused) {
  data::Json config = data::parse_json(kLlamaConfig);
  EXPECT_THROW(build(config, llama_weights(), R"({"eos_token_id": [2, 32000]})"), Error);
  EXPECT_EQ(build(config, llama_weights(), R"({"eos_token_id": [2, 3]})").language.eos,
            (std::vector<int64_t>{2, 3}));
}

// C04: code in a config is never run and no path in it is opened.
TEST(Config, RemoteCodeIsIgnoredWithANote) {
  data::Json config = data::parse_json(kLlamaConfig);
  config.set("auto_map", data::parse_json(R"({"AutoModelForCausalLM": "../../evil.py--Model"})"));
  config.set("trust_remote_code", true);
  BuiltModel built = build(config);
  EXPECT_EQ(built.notes.size(), 2u);
  EXPECT_NE(built.notes[0].find("auto_map"), std::string::npos);
}

// C05
TEST(Config, MissingTransposedAndMistypedWeightsAreListedTogether) {
  std::vector<WeightInfo> weights = llama_weights();
  weights[3].extents = {16, 8};  // k_proj transposed
  weights[8].dtype = DType::I8;  // up_proj
  weights[10].name = "model.nrom.weight";
  weights.push_back({"model.layers.7.extra", DType::F32, {1}});
  try {
    build(data::parse_json(kLlamaConfig), weights);
    FAIL();
  } catch (const Error& error) {
    std::string text = error.what();
    EXPECT_EQ(error.code(), ErrorCode::BadInput);
    for (const char* part :
         {"3 problems", "k_proj.weight: weight is wrong shape", "(transposed?)",
          "up_proj.weight: weight is wrong type", "model.norm.weight: weight is missing",
          "nearest: model.nrom.weight"}) {
      EXPECT_NE(text.find(part), std::string::npos) << part << " in " << text;
    }
  }
  weights = llama_weights();
  weights.push_back({"extra", DType::F32, {1}});
  EXPECT_EQ(build(data::parse_json(kLlamaConfig), weights).ledger.count(nn::WeightState::Unused),
            1u);
}

}  // namespace
}  // namespace tenon::models
