#include "compiler/stage_gate.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "compiler/build.h"
#include "ops/attributes.h"

namespace tenon::compiler {
namespace {

const std::string kSam = TENON_GOLDEN_SAM "model.safetensors";

class StageGate : public ::testing::Test {
 protected:
  StageGate() {
    char pattern[] = "/tmp/tenon-stage-gate-test-XXXXXX";
    folder_ = mkdtemp(pattern);
  }
  ~StageGate() override { std::filesystem::remove_all(folder_); }
  BuildOptions options(const std::string& dtype, const std::string& name = "model.plan") {
    BuildOptions result;
    result.model = kSam;
    result.output = folder_ + "/" + name;
    result.dtype = dtype;
    return result;
  }
  std::string folder_;
  StderrProgress quiet_{ProgressStyle::Quiet};
};

double worst(const BuildResult& result, std::string_view figure) {
  return result.report.at("gate", "$").at("against_oracle", "$").get_double(figure, -1);
}

TEST_F(StageGate, PassesInEveryPrecision) {
  BuildResult f32 = build(options("f32"), quiet_);
  EXPECT_LE(worst(f32, "max_error_over_rms"), 1e-4);
  BuildResult f16 = build(options("f16"), quiet_), bf16 = build(options("bf16"), quiet_);
  EXPECT_GT(worst(f16, "relative_norm"), 1e-5);  // it does round
  EXPECT_GT(worst(bf16, "relative_norm"), worst(f16, "relative_norm"));
  EXPECT_EQ(f16.report.get_string("architecture", ""), "sam");
  EXPECT_EQ(f16.report.get_string("model", ""), "model");
}

TEST_F(StageGate, ThePlanSaysWhatThePipelineNeeds) {
  build(options("f32"), quiet_);
  auto file = plan::PlanFile::open(folder_ + "/model.plan");
  const plan::Plan& plan = file->plan();
  EXPECT_EQ(plan.pipeline, "sam");
  EXPECT_EQ(plan.model.get_int("image_size", 0), 48);
  ASSERT_EQ(plan.feeds.size(), 4u);
  EXPECT_EQ(plan.feeds[0].to_value, "embedding");
  EXPECT_EQ(plan.feeds[2].to_stage, "mask_post");
  EXPECT_EQ(plan.feeds[3].to_value, "pixels");
  EXPECT_EQ(plan.stages.size(), 5u);
  EXPECT_TRUE(plan.tokenizer.empty());
}

// A wrong pass: the residual of the second block is doubled, as a missed branch would.
TEST_F(StageGate, APlantedFaultIsFoundAndNamed) {
  BuildOptions faulty = options("f16");
  faulty.plant_fault = [](ir::Graph& graph) {
    for (size_t i = 0; i < graph.nodes().size(); ++i) {
      const ir::Node& node = graph.nodes()[i];
      if (node.op == "attention" && node.module.find("blocks.1") != std::string::npos)
        graph.node(static_cast<ir::NodeId>(i)).attributes.set("scale", 0.3);
    }
  };
  try {
    build(faulty, quiet_);
    FAIL() << "the gate let it through";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::ProofFailed);
    EXPECT_NE(std::string(error.what()).find("image_encoder.embedding"), std::string::npos);
    EXPECT_FALSE(file_exists(faulty.output));
  }
}

TEST_F(StageGate, SameInputsGiveTheSamePlan) {
  BuildResult first = build(options("bf16"), quiet_);
  BuildResult second = build(options("bf16", "other.plan"), quiet_);
  EXPECT_EQ(first.report.get_string("identity", "1"), second.report.get_string("identity", "2"));
}

TEST_F(StageGate, OptionsOfLanguageModelsAreRefusedTogether) {
  BuildOptions wrong = options("f32");
  wrong.max_seq_len = 128;
  wrong.max_kld = 0.1;
  wrong.check_file = "prompts.txt";
  try {
    build(wrong, quiet_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Usage);
    for (const char* option : {"--max-seq-len", "--max-kld", "--check"})
      EXPECT_NE(std::string(error.what()).find(option), std::string::npos) << option;
  }
}

TEST_F(StageGate, ATighterBudgetIsHeld) {
  BuildOptions tight = options("bf16");
  tight.max_error = 1e-6;
  EXPECT_THROW(build(tight, quiet_), Error);
  BuildOptions loose = options("f32");
  loose.max_error = 0.5;
  BuildResult result = build(loose, quiet_);
  EXPECT_TRUE(result.report.at("gate", "$").at("budget", "$").get_bool("loosened", false));
}

TEST_F(StageGate, TheEstimateIsMadeWithoutWeights) {
  BuildEstimate estimated = estimate(options("f16"));
  EXPECT_GT(estimated.peak_memory_bytes, 1 << 20);
  EXPECT_GT(estimated.plan_bytes, 100 << 10);
}

}  // namespace
}  // namespace tenon::compiler
