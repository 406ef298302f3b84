// Segment Anything from a tiny checkpoint, stage by stage in f32, against what Meta's own code
// computed from it (tools/make_golden_sam.py).
#include <gtest/gtest.h>

#include "compiler/oracle.h"
#include "frontends/safetensors/checkpoint_folder.h"
#include "frontends/safetensors/safetensors_file.h"
#include "metrics/error_stats.h"
#include "models/sam.h"
#include "ops/op_list.h"
#include "runtime/session.h"

namespace tenon::models {
extern const Architecture kSam;
}

namespace tenon {
namespace {

const std::string kFolder = TENON_GOLDEN_SAM;
constexpr int64_t kSide = 48;  // of the picture

class GoldenSam : public ::testing::Test {
 protected:
  GoldenSam()
      : weights_(frontends::CheckpointFolder::open(kFolder + "model.safetensors")),
        expected_(frontends::SafetensorsFile::open(kFolder + "expected.safetensors")) {
    data::Json none = data::Json::object();
    model_ = models::kSam.build({none, none, *weights_, ops::builtin_catalogue()});
    for (const ir::Graph& graph : model_.stages) {
      compiler::lower_stage(graph,
                            {{"prompts", 1, 64},
                             {"points", 1, 16},
                             {"chosen", 0, 256},
                             {"picture_h", 1, 4096},
                             {"picture_w", 1, 4096},
                             {"taps_h", 2, 256},
                             {"taps_w", 2, 256},
                             {"words", 1, 128}},
                            lowered_);
    }
    constants_ = std::make_unique<compiler::CheckpointConstants>(*weights_, lowered_.recipes);
    session_ = std::make_unique<runtime::Session>(lowered_.plan, *constants_);
  }

  TensorView expected(std::string_view name) { return expected_->view(name); }

  void expect_near(const TensorView& got, std::string_view name) {
    Tensor values = make_f32(got), wanted = make_f32(expected(name));
    ASSERT_EQ(values.count(), wanted.count()) << name;
    size_t count = static_cast<size_t>(values.count());
    metrics::ErrorStats stats =
        metrics::compare({values.as<float>(), count}, {wanted.as<float>(), count});
    EXPECT_LE(stats.max_abs, 1e-4 * stats.reference_rms) << name;
    EXPECT_EQ(stats.nonfinite, 0) << name;
  }

  // Points or boxes in pixels as the stage wants them: centres of pixels in [0, 1], and row labels.
  struct Prompt {
    std::vector<float> points;
    std::vector<int32_t> labels;
    int64_t prompts = 0;
  };
  Prompt prompt(bool points, bool boxes, int64_t prompts) {
    Prompt result;
    result.prompts = prompts;
    const TensorView at = expected("points"), label = expected("labels"), box = expected("boxes");
    auto add = [&](float x, float y, models::SamPointLabel kind) {
      result.points.push_back((x + 0.5f) / kSide);
      result.points.push_back((y + 0.5f) / kSide);
      result.labels.push_back(static_cast<int32_t>(kind));
    };
    using enum models::SamPointLabel;
    for (int64_t i = 0; i < prompts; ++i) {
      for (int64_t j = 0; points && j < 2; ++j) {
        const float* xy = at.as<float>() + (i * 2 + j) * 2;
        add(xy[0], xy[1], label.as<int32_t>()[i * 2 + j] == 1 ? Foreground : Background);
      }
      if (!boxes) add(0, 0, Padding);
      const float* corners = box.as<float>() + i * 4;
      if (boxes) add(corners[0], corners[1], BoxFirst);
      if (boxes) add(corners[2], corners[3], BoxLast);
    }
    return result;
  }

  void expect_masks(const Prompt& prompt, std::string stage, const std::string& name,
                    std::vector<TensorView> more = {}) {
    int64_t count = static_cast<int64_t>(prompt.labels.size());
    std::vector<TensorView> inputs = {
        expected("embedding"),
        TensorView(prompt.points.data(), DType::F32, {prompt.prompts, count / prompt.prompts, 2}),
        TensorView(prompt.labels.data(), DType::I32, {count})};
    inputs.insert(inputs.end(), more.begin(), more.end());
    auto outputs = session_->stage(stage).run(inputs);
    expect_near(outputs[0], name + ".masks");
    expect_near(outputs[1], name + ".iou");
  }

  std::shared_ptr<const WeightSource> weights_;
  std::shared_ptr<const frontends::SafetensorsFile> expected_;
  models::BuiltModel model_;
  compiler::LoweredPlan lowered_;
  std::unique_ptr<compiler::CheckpointConstants> constants_;
  std::unique_ptr<runtime::Session> session_;
};

TEST_F(GoldenSam, EveryWeightIsUsed) {
  EXPECT_EQ(model_.ledger.count(nn::WeightState::Unused), 0u);
}

TEST_F(GoldenSam, TheConfigurationSaysHowTheDecoderNorms) {
  auto eps_of = [](const models::BuiltModel& model, std::string_view module) {
    for (const ir::Node& node : model.stages[1].nodes()) {
      if (node.op == "layer_norm" && node.module.ends_with(module))
        return std::get<double>(*node.attributes.find("eps"));
    }
    return 0.0;
  };
  data::Json none = data::Json::object(), config = data::Json::object(), section = none;
  section.set("layer_norm_eps", 1e-6);
  config.set("mask_decoder_config", section);
  models::BuiltModel told = models::kSam.build({config, none, *weights_, ops::builtin_catalogue()});
  EXPECT_EQ(eps_of(model_, "layers.1.norm4"), 1e-5);
  EXPECT_EQ(eps_of(told, "layers.1.norm4"), 1e-6);
  EXPECT_EQ(eps_of(told, "norm_final_attn"), 1e-5);
}

TEST_F(GoldenSam, ImageEmbedding) {
  TensorView pixels = expected("pixels");
  auto outputs = session_->stage("image_encoder").run(std::span<const TensorView>(&pixels, 1));
  expect_near(outputs[0], "embedding");
}

TEST_F(GoldenSam, PointsBoxesAndBoth) {
  expect_masks(prompt(true, false, 3), "mask_decoder", "points");
  expect_masks(prompt(false, true, 2), "mask_decoder", "boxes");
  expect_masks(prompt(true, true, 2), "mask_decoder", "both");
}

TEST_F(GoldenSam, MaskPrompts) {
  expect_masks(prompt(true, false, 2), "mask_decoder_with_mask", "masked",
               {expected("mask_logits")});
}

}  // namespace
}  // namespace tenon
