#include "models/model_list.h"

#include <gtest/gtest.h>

namespace tenon::models {
namespace {

TEST(FindArchitecture, ReadsClassesThenModelType) {
  EXPECT_EQ(find_architecture(data::parse_json(R"({"architectures": ["Qwen2ForCausalLM"]})")).name,
            "qwen2");
  EXPECT_EQ(find_architecture(data::parse_json(R"({"model_type": "gpt2"})")).name, "gpt2");
}

TEST(FindArchitecture, NamesTheNearestAndWhatDiffers) {
  try {
    find_architecture(data::parse_json(R"({"architectures": ["Gemma2ForCausalLM"], "hidden_size": 8,
      "num_hidden_layers": 1, "intermediate_size": 8, "final_logit_softcapping": 30.0})"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Unsupported);
    EXPECT_NE(error.fix().find("nearest is llama"), std::string::npos) << error.what();
    EXPECT_NE(error.fix().find("final_logit_softcapping"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace tenon::models
