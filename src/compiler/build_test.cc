#include "compiler/build.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "base/thread_pool.h"
#include "frontends/safetensors/checkpoint_folder.h"
#include "frontends/safetensors/safetensors_writer.h"
#include "ops/attributes.h"
#include "plan/plan_file.h"

namespace tenon::compiler {
namespace {

namespace fs = std::filesystem;

const std::string kModels = TENON_GOLDEN_MODELS;

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

// A copy of a golden LLaMA with some weights times a factor.
std::string scaled_model(const std::string& folder, const std::map<std::string, float>& factors,
                         DType dtype = DType::F32) {
  std::string model = folder + "/scaled";
  fs::create_directory(model);
  fs::copy(kModels + "llama/base/config.json", model + "/config.json");
  auto source = frontends::CheckpointFolder::open(kModels + "llama/base");
  std::vector<Tensor> tensors;
  std::vector<frontends::NamedTensor> named;
  for (const WeightInfo& info : source->weights()) {
    Tensor scaled = make_f32(source->view(info.name));
    auto factor = factors.find(info.name);
    for (int64_t i = 0; factor != factors.end() && i < scaled.count(); ++i)
      scaled.as<float>()[i] *= factor->second;
    Tensor stored = Tensor::make(dtype, scaled.extents());
    copy_convert(scaled.view(), stored.view());
    tensors.push_back(std::move(stored));
  }
  for (size_t i = 0; i < tensors.size(); ++i)
    named.push_back({source->weights()[i].name, tensors[i].view()});
  frontends::write_safetensors(model + "/model.safetensors", named);
  return model;
}

// Harmless in f32, too large for f16 on the way: up times 3e5, down divided by it.
const std::map<std::string, float> kOverflow = {{"model.layers.1.mlp.up_proj.weight", 3e5f},
                                                {"model.layers.1.mlp.down_proj.weight", 1 / 3e5f}};

std::map<std::string, std::string> types_of(const BuildResult& result) {
  std::map<std::string, std::string> types;
  for (const data::Json& entry : result.report.at("types", "$").as_array("types"))
    types[entry.get_string("name", "")] = entry.get_string("dtype", "");
  return types;
}

TEST_F(Build, HalfPrecisionOverflowIsNamedWithoutTheGuard) {
  BuildOptions unguarded = options(scaled_model(folder_, kOverflow), "f16");
  unguarded.range_guard = false;
  std::string text = failure(unguarded);
  EXPECT_NE(text.find("first bad tensor model.layers.1.mlp"), std::string::npos) << text;
}

TEST_F(Build, WhatWouldOverflowGetsAnotherType) {
  BuildResult result = build(options(scaled_model(folder_, kOverflow), "f16"), quiet_);
  EXPECT_TRUE(result.report.at("gate", "$").get_bool("passed", false));
  std::map<std::string, std::string> types = types_of(result);
  // The checkpoint is stored in f32, so bf16 would lose weights.
  EXPECT_EQ(types["model.layers.1.mlp.up_proj"], "f32");
  EXPECT_EQ(types["model.layers.1.mlp.down_proj.weight"], "f32");
  EXPECT_EQ(types.count("model.layers.0.mlp.down_proj.weight"), 0u);
  for (const auto& [name, dtype] : types)
    EXPECT_TRUE(name.starts_with("model.layers.1.mlp")) << name;
  auto file = plan::PlanFile::open(folder_ + "/model.plan");
  for (const plan::Constant& constant : file->plan().constants) {
    if (constant.name == "model.layers.1.mlp.down_proj.weight") {
      EXPECT_EQ(constant.dtype, DType::F32);
    } else if (constant.name == "model.layers.0.mlp.down_proj.weight") {
      EXPECT_EQ(constant.dtype, DType::F16);
    }
  }
  const data::Json* stored = file->plan().precision.find("types");
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->as_array("types").size(), types.size());
}

TEST_F(Build, WhatWouldOverflowIsBf16WhereTheCheckpointIs) {
  BuildOptions half = options(scaled_model(folder_, kOverflow, DType::BF16), "f16");
  half.max_kld = 1e-3;  // bf16 rounds what it multiplies
  EXPECT_EQ(types_of(build(half, quiet_))["model.layers.1.mlp.down_proj.weight"], "bf16");
}

TEST_F(Build, RangesAreReportedAndStored) {
  BuildResult result = build(options(scaled_model(folder_, kOverflow), "f32"), quiet_);
  const data::Json::Array& tensors =
      result.report.at("ranges", "$").at("tensors", "$").as_array("tensors");
  ASSERT_GT(tensors.size(), 20u);
  // Largest first.
  std::string first = tensors[0].get_string("tensor", "");
  EXPECT_TRUE(first.starts_with("model.layers.1.mlp.")) << first;
  EXPECT_GT(tensors[0].get_double("share_of_f16", 0), 0.5);
  for (size_t i = 1; i < tensors.size(); ++i) {
    EXPECT_LE(tensors[i].get_double("largest", 0), tensors[i - 1].get_double("largest", 0));
  }
  auto file = plan::PlanFile::open(folder_ + "/model.plan");
  const data::Json& evidence = file->evidence().entries;
  EXPECT_EQ(evidence.as_array("$")[0].get_string("kind", ""), "ranges");
  EXPECT_EQ(evidence.as_array("$")[0].at("result", "$"), result.report.at("ranges", "$"));
}

TEST_F(Build, Bf16CachesAreF16WhereTheWeightsProveThatItFits) {
  std::map<std::string, std::string> types =
      types_of(build(options(kModels + "llama/base", "bf16"), quiet_));
  EXPECT_EQ(types["cache.0"], "f16");
  EXPECT_EQ(types["cache.1"], "f16");
  for (const auto& [name, dtype] : types) EXPECT_TRUE(name.starts_with("cache.")) << name;
  // Keys that may reach 1e5 stay bf16.
  std::string large = scaled_model(folder_, {{"model.layers.1.self_attn.k_proj.weight", 1e5f},
                                             {"model.layers.1.self_attn.q_proj.weight", 1e-5f}});
  types = types_of(build(options(large, "bf16"), quiet_));
  EXPECT_EQ(types.count("cache.0"), 1u);
  EXPECT_EQ(types.count("cache.1"), 0u);
}

TEST_F(Build, AttentionOverOutlierChannelsIsMultipliedInF16) {
  std::string model = folder_ + "/outliers";
  fs::create_directory(model);
  fs::copy(kModels + "llama/base/config.json", model + "/config.json");
  auto source = frontends::CheckpointFolder::open(kModels + "llama/base");
  std::vector<Tensor> tensors;
  std::vector<frontends::NamedTensor> named;
  for (const WeightInfo& info : source->weights()) {
    Tensor values = make_f32(source->view(info.name));
    if (info.name == "model.layers.0.input_layernorm.weight") values.as<float>()[3] *= 40;
    tensors.push_back(std::move(values));
  }
  for (size_t i = 0; i < tensors.size(); ++i)
    named.push_back({source->weights()[i].name, tensors[i].view()});
  frontends::write_safetensors(model + "/model.safetensors", named);
  int64_t hidden = source->find("model.layers.0.input_layernorm.weight")->extents[0];
  BuildOptions outliers = options(model, "bf16");
  outliers.max_kld = 1;
  std::map<std::string, std::string> types = types_of(build(outliers, quiet_));
  // Of so few channels one outlier is at most sqrt(hidden) times the RMS.
  bool can_stand_out = std::sqrt(static_cast<double>(hidden)) > 8;
  EXPECT_EQ(types.count("model.layers.0.input_layernorm"), can_stand_out ? 1u : 0u);
  EXPECT_EQ(types.count("model.layers.1.input_layernorm"), 0u);
}

TEST_F(Build, ABudgetOfZeroIsRefused) {
  BuildOptions nothing = options(kModels + "llama/base", "bf16");
  nothing.max_kld = 0;
  nothing.max_error = -1;
  nothing.min_same_top = 1.5;
  try {
    build(nothing, quiet_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Usage);
    EXPECT_NE(std::string(error.what()).find("3 problems"), std::string::npos) << error.what();
  }
  EXPECT_FALSE(file_exists(nothing.output));
}

TEST_F(Build, AMissingDeviceIsRefusedBeforeAnyWork) {
  BuildOptions elsewhere = options("/no/such/model", "bf16");
  elsewhere.devices = {{device::Kind::Cuda, 77}};
  for (bool only_estimate : {true, false}) {
    try {
      only_estimate ? static_cast<void>(estimate(elsewhere))
                    : static_cast<void>(build(elsewhere, quiet_));
      FAIL();
    } catch (const Error& error) {
      // Not the missing model, which would have been the next thing to be found.
      EXPECT_EQ(error.code(), ErrorCode::Unsupported) << error.what();
    }
  }
}

TEST_F(Build, EvidenceStandsForEachDevice) {
  BuildOptions twice = options(kModels + "llama/base", "f32");
  twice.devices = {{device::Kind::Cpu, 0}, {device::Kind::Cpu, 0}};
  BuildResult result = build(twice, quiet_);
  EXPECT_EQ(result.report.at("gates", "$").as_array("gates").size(), 2u);
  auto file = plan::PlanFile::open(twice.output);
  const data::Json::Array& entries = file->evidence().entries.as_array("$");
  ASSERT_EQ(entries.size(), 3u);
  for (size_t i : {1, 2}) {
    const data::Json& entry = entries[i].at("result", "$");
    EXPECT_EQ(entry.get_string("device", ""), device::cpu_device().description());
    EXPECT_EQ(entry.get_string("fingerprint", ""), device::cpu_device().fingerprint());
    EXPECT_TRUE(entry.get_bool("passed", false));
  }
}

TEST_F(Build, TheEstimateOfATinyPlanIsTiny) {
  BuildEstimate tiny = estimate(options(kModels + "llama/base", "f32"));
  EXPECT_GT(tiny.peak_memory_bytes, 4 << 20);
  EXPECT_LT(tiny.peak_memory_bytes - (int64_t{process_thread_pool().size()} << 20), 16 << 20);
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
