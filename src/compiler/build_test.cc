#include "compiler/build.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "frontends/safetensors/checkpoint_folder.h"
#include "frontends/safetensors/safetensors_writer.h"
#include "ops/attributes.h"
#include "plan/plan_file.h"

namespace tenon::compiler {
namespace {

namespace fs = std::filesystem;

const std::string kModels = std::string(TENON_SOURCE_DIR) + "/tests/golden/models/";

class Build : public ::testing::Test {
 protected:
  Build() {
    char pattern[] = "/tmp/tenon-build-test-XXXXXX";
    folder_ = mkdtemp(pattern);
  }
  ~Build() override { fs::remove_all(folder_); }
  BuildOptions options(const std::string& model, const std::string& dtype) {
    BuildOptions result;
    result.model = model;
    result.output = folder_ + "/model.plan";
    result.dtype = dtype;
    return result;
  }
  // Builds with a fault; returns the gate's error text, or "" where the gate let it through.
  std::string failure(BuildOptions options) {
    try {
      build(options, quiet_);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::ProofFailed) << error.what();
      EXPECT_FALSE(file_exists(options.output));
      return error.what();
    }
    return "";
  }
  std::string folder_;
  StderrProgress quiet_{ProgressStyle::Quiet};
};

ir::NodeId find_node(const ir::Graph& graph, std::string_view op, std::string_view module) {
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    const ir::Node& node = graph.nodes()[i];
    if (node.op == op && node.module.find(module) != std::string::npos)
      return static_cast<ir::NodeId>(i);
  }
  ADD_FAILURE() << "no " << op << " at " << module;
  return 0;
}

TEST_F(Build, GoldenModelPassesItsGate) {
  for (const char* dtype : {"f32", "bf16", "f16"}) {
    BuildOptions plain = options(kModels + "llama/base", dtype);
    plain.golden_file = kModels + "llama/base/expected.safetensors";
    BuildResult result = build(plain, quiet_);
    EXPECT_TRUE(result.report.at("gate", "$").get_bool("passed", false));
    EXPECT_EQ(result.report.at("gate", "$").get_string("proof", ""), "golden");
    EXPECT_TRUE(file_exists(plain.output));
  }
}

TEST_F(Build, TwoBuildsAreTheSameBytes) {
  BuildOptions first = options(kModels + "llama/gqa", "bf16"), second = first;
  second.output = folder_ + "/second.plan";
  build(first, quiet_);
  build(second, quiet_);
  EXPECT_EQ(plan::PlanFile::open(first.output)->identity(),
            plan::PlanFile::open(second.output)->identity());
  EXPECT_EQ(read_text_file(first.output, 1 << 30), read_text_file(second.output, 1 << 30));
}

TEST_F(Build, WrongEpsIsNamed) {
  BuildOptions faulty = options(kModels + "llama/base", "bf16");
  faulty.plant_fault = [](ir::Graph& graph) {
    graph.node(find_node(graph, "rms_norm", "layers.1.post_attention_layernorm"))
        .attributes.set("eps", 0.5);
  };
  std::string text = failure(faulty);
  EXPECT_NE(text.find("first bad tensor model.layers.1.post_attention_layernorm"),
            std::string::npos)
      << text;
}

TEST_F(Build, SwappedGateAndUpIsNamed) {
  BuildOptions faulty = options(kModels + "llama/base", "f32");
  faulty.plant_fault = [](ir::Graph& graph) {
    ir::NodeId glu = find_node(graph, "glu", "layers.1.mlp");
    ir::NodeId linear = graph.value(graph.node(glu).inputs[0]).producer;
    ir::Value& weight = graph.value(graph.node(linear).inputs[1]);
    const Recipe& both = *weight.recipe;
    int64_t half = both.extents()[0] / 2;
    weight.recipe = Recipe::concat(
        {Recipe::slice(both, 0, half, 2 * half), Recipe::slice(both, 0, 0, half)}, 0);
  };
  std::string text = failure(faulty);
  EXPECT_NE(text.find("first bad tensor model.layers.1.mlp"), std::string::npos) << text;
}

TEST_F(Build, WrongRopeBaseIsNamed) {
  BuildOptions faulty = options(kModels + "llama/base", "bf16");
  faulty.plant_fault = [](ir::Graph& graph) {
    ir::NodeId rope = find_node(graph, "rope_kv_append", "layers.0");
    ir::Value& table = graph.value(graph.node(rope).inputs[2]);
    auto changed = std::make_shared<Tensor>(make_f32(*table.recipe->literal_value()));
    for (int64_t i = 1; i < changed->count(); ++i) changed->as<float>()[i] *= 3.0f;
    table.recipe = Recipe::literal(changed);
  };
  std::string text = failure(faulty);
  EXPECT_NE(text.find("first bad tensor model.layers.0.self_attn"), std::string::npos) << text;
}

TEST_F(Build, TransposedWeightIsNamed) {
  BuildOptions faulty = options(kModels + "llama/base", "bf16");
  faulty.plant_fault = [](ir::Graph& graph) {
    ir::NodeId attention = find_node(graph, "paged_attention", "layers.1");
    ir::NodeId output = graph.users(graph.node(attention).outputs[0]).at(0);
    ir::Value& weight = graph.value(graph.node(output).inputs[1]);
    weight.recipe = Recipe::transpose(*weight.recipe);
  };
  std::string text = failure(faulty);
  EXPECT_NE(text.find("first bad tensor model.layers.1"), std::string::npos) << text;
}

// Weights that are harmless in f32 and overflow fp16 on the way: up times 3e5, down divided by it.
TEST_F(Build, HalfPrecisionOverflowIsNamed) {
  std::string model = folder_ + "/overflow";
  fs::create_directory(model);
  fs::copy(kModels + "llama/base/config.json", model + "/config.json");
  auto source = frontends::CheckpointFolder::open(kModels + "llama/base");
  std::vector<Tensor> tensors;
  std::vector<frontends::NamedTensor> named;
  for (const WeightInfo& info : source->weights()) {
    tensors.push_back(make_f32(source->view(info.name)));
    float factor = info.name == "model.layers.1.mlp.up_proj.weight"     ? 3e5f
                   : info.name == "model.layers.1.mlp.down_proj.weight" ? 1 / 3e5f
                                                                        : 1.0f;
    for (int64_t i = 0; i < tensors.back().count(); ++i) tensors.back().as<float>()[i] *= factor;
  }
  for (size_t i = 0; i < tensors.size(); ++i)
    named.push_back({source->weights()[i].name, tensors[i].view()});
  frontends::write_safetensors(model + "/model.safetensors", named);
  EXPECT_EQ(failure(options(model, "f32")), "");
  fs::remove(folder_ + "/model.plan");
  std::string text = failure(options(model, "f16"));
  EXPECT_NE(text.find("first bad tensor model.layers.1.mlp"), std::string::npos) << text;
}

TEST_F(Build, AFailedGateKeepsTheOldPlanAndAsksForAnother) {
  BuildOptions good = options(kModels + "llama/base", "bf16");
  build(good, quiet_);
  std::string before = read_text_file(good.output, 1 << 30);
  BuildOptions strict = good;
  strict.max_kld = 1e-12;
  strict.keep_failed = true;
  EXPECT_THROW(build(strict, quiet_), Error);
  EXPECT_EQ(read_text_file(good.output, 1 << 30), before);
  EXPECT_TRUE(file_exists(good.output + ".failed"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 2);
}

TEST_F(Build, LooserBudgetsAreRecorded) {
  BuildOptions loose = options(kModels + "gpt2/base", "bf16");
  loose.max_kld = 0.5;
  build(loose, quiet_);
  EXPECT_TRUE(plan::PlanFile::open(loose.output)->plan().budgets.get_bool("loosened", false));
}

TEST_F(Build, EveryWrongOptionIsListed) {
  BuildOptions wrong = options(kModels + "gpt2/base", "int3");
  wrong.max_batch_size = 0;
  wrong.max_seq_len = 1 << 30;
  try {
    build(wrong, quiet_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Usage);
    EXPECT_NE(std::string(error.what()).find("3 problems"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace tenon::compiler
