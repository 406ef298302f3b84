// The pipeline of Segment Anything against Meta's SamPredictor and SamAutomaticMaskGenerator, over
// the tiny checkpoint (tools/make_golden_sam_pipeline.py).
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "compiler/oracle.h"
#include "data/json.h"
#include "frontends/safetensors/checkpoint_folder.h"
#include "frontends/safetensors/safetensors_file.h"
#include "imaging/decode.h"
#include "metrics/error_stats.h"
#include "metrics/mask_iou.h"
#include "models/sam.h"
#include "ops/op_list.h"
#include "pipelines/sam/everything.h"

namespace tenon::models {
extern const Architecture kSam;
}

namespace tenon::sam {
namespace {

const std::string kFolder = TENON_GOLDEN_SAM;

class GoldenSamPipeline : public ::testing::Test {
 protected:
  GoldenSamPipeline()
      : weights_(frontends::CheckpointFolder::open(kFolder + "model.safetensors")),
        expected_(frontends::SafetensorsFile::open(kFolder + "predictions.safetensors")),
        image_(imaging::read_image(kFolder + "picture.png").image) {
    data::Json none = data::Json::object();
    models::BuiltModel model =
        models::kSam.build({none, none, *weights_, ops::builtin_catalogue()});
    lowered_.plan.pipeline = model.staged->pipeline;
    lowered_.plan.model = model.staged->description;
    for (const ir::Graph& graph : model.stages)
      compiler::lower_stage(graph,
                            {{"prompts", 1, 64},
                             {"points", 0, 16},
                             {"chosen", 0, 256},
                             {"picture_h", 1, 4096},
                             {"picture_w", 1, 4096},
                             {"taps_h", 2, 256},
                             {"taps_w", 2, 256},
                             {"words", 1, 128}},
                            lowered_);
    constants_ = std::make_unique<compiler::CheckpointConstants>(*weights_, lowered_.recipes);
  }

  void open() {
    session_ = std::make_unique<runtime::Session>(lowered_.plan, *constants_);
    predictor_ = std::make_unique<Predictor>(*session_);
  }

  std::span<const float> expected(const std::string& name) {
    TensorView view = expected_->view(name);
    return {view.as<float>(), static_cast<size_t>(view.count())};
  }

  static void expect_near(std::span<const float> got, std::span<const float> wanted,
                          const std::string& name) {
    ASSERT_EQ(got.size(), wanted.size()) << name;
    metrics::ErrorStats stats = metrics::compare(got, wanted);
    EXPECT_LE(stats.max_abs, 1e-4 * stats.reference_rms) << name;
  }

  ObjectMasks expect_prediction(const std::string& name, const Prompt& prompt, MaskChoice choice) {
    ObjectMasks object = predictor_->predict({&prompt, 1}, choice)[0];
    std::vector<float> low, large;
    for (const std::vector<float>& logits : object.logits) {
      low.insert(low.end(), logits.begin(), logits.end());
      std::vector<float> resampled = predictor_->resampler().resample(logits.data());
      large.insert(large.end(), resampled.begin(), resampled.end());
    }
    expect_near(object.predicted_iou, expected(name + ".iou"), name + ".iou");
    expect_near(low, expected(name + ".low"), name + ".low");
    expect_near(large, expected(name + ".masks"), name + ".masks");
    return object;
  }

  std::shared_ptr<const WeightSource> weights_;
  std::shared_ptr<const frontends::SafetensorsFile> expected_;
  imaging::Image image_;
  compiler::LoweredPlan lowered_;
  std::unique_ptr<compiler::CheckpointConstants> constants_;
  std::unique_ptr<runtime::Session> session_;
  std::unique_ptr<Predictor> predictor_;
};

TEST_F(GoldenSamPipeline, PixelsAreTheOriginals) {
  open();
  Tensor pixels = make_pixels(image_, predictor_->info());
  expect_near({pixels.as<float>(), static_cast<size_t>(pixels.count())}, expected("pixels"),
              "pixels");
}

// What a GPU makes of a picture is what the CPU's two passes make of it, bit for bit.
TEST_F(GoldenSamPipeline, TheStageThatPreparesGivesTheSamePixels) {
  open();
  const SamInfo& info = predictor_->info();
  Size size = fitted_size({image_.width, image_.height}, info.image_size);
  Tensor taps_y = make_prep_taps(image_.height, size.height, info.image_size);
  Tensor taps_x = make_prep_taps(image_.width, size.width, info.image_size);
  TensorView inputs[] = {
      TensorView(image_.pixels.data(), DType::U8, {image_.height, image_.width, 3}), taps_y.view(),
      taps_x.view()};
  TensorView pixels = session_->stage("image_prep").run(inputs)[0];
  Tensor expected = make_pixels(image_, info);
  ASSERT_EQ(pixels.extents, expected.extents());
  EXPECT_EQ(0, std::memcmp(pixels.data, expected.view().data,
                           static_cast<size_t>(expected.view().bytes())));
}

TEST_F(GoldenSamPipeline, EveryFormOfPrompt) {
  open();
  predictor_->set_image(image_);
  Prompt point{{{20, 18, true}}, {}, {}};
  ObjectMasks masks = expect_prediction("point", point, MaskChoice::Several);
  expect_prediction("point_single", point, MaskChoice::Single);
  expect_prediction("points", {{{52, 30.5, true}, {3.25, 47, false}}, {}, {}}, MaskChoice::Several);
  expect_prediction("box", {{}, PromptBox{40, 14, 68, 46.5}, {}}, MaskChoice::Single);
  expect_prediction("both", {{{52, 30, false}}, PromptBox{30, 2, 70, 48}, {}}, MaskChoice::Several);
  expect_prediction("mask", {{}, {}, masks.logits[1]}, MaskChoice::Several);
  expect_prediction("refined", {{{20, 18, true}}, {}, masks.logits[2]}, MaskChoice::Single);
}

// Objects of several forms at once, in runs of any size, are what they are alone.
TEST_F(GoldenSamPipeline, SeveralObjectsAreAsAlone) {
  open();
  predictor_->set_image(image_);
  std::vector<Prompt> prompts;
  for (int i = 0; i < 7; ++i) {
    Prompt prompt{{{5.0 + 9 * i, 40.0 - 5 * i, true}}, {}, {}};
    if (i % 3 == 1) prompt.points.push_back({1, 1, false});
    if (i % 3 == 2) prompt.box = PromptBox{2.0 * i, 3, 60, 44};
    prompts.push_back(prompt);
  }
  std::vector<ObjectMasks> together = predictor_->predict(prompts, MaskChoice::Several, 2);
  for (size_t i = 0; i < prompts.size(); ++i) {
    ObjectMasks alone = predictor_->predict({&prompts[i], 1}, MaskChoice::Several)[0];
    for (size_t j = 0; j < alone.logits.size(); ++j)
      expect_near(together[i].logits[j], alone.logits[j], "object " + std::to_string(i));
  }
}

TEST_F(GoldenSamPipeline, BestIsTheExportsChoice) {
  open();
  predictor_->set_image(image_);
  Prompt click{{{20, 18, true}}, {}, {}};
  ObjectMasks several = predictor_->predict({&click, 1}, MaskChoice::Several)[0];
  ObjectMasks best = predictor_->predict({&click, 1}, MaskChoice::Best)[0];
  ASSERT_EQ(best.logits.size(), 1u);
  size_t wanted = std::max_element(several.predicted_iou.begin(), several.predicted_iou.end()) -
                  several.predicted_iou.begin();
  EXPECT_EQ(best.logits[0], several.logits[wanted]);
  click.points.push_back({30, 20, true});
  click.points.push_back({33, 22, true});
  EXPECT_EQ(predictor_->predict({&click, 1}, MaskChoice::Best)[0].logits,
            predictor_->predict({&click, 1}, MaskChoice::Single)[0].logits);
}

TEST_F(GoldenSamPipeline, HostilePromptsAreRefused) {
  open();
  Prompt click{{{20, 18, true}}, {}, {}};
  EXPECT_THROW(predictor_->predict({&click, 1}, MaskChoice::Single), Error);  // no picture
  predictor_->set_image(image_);
  Prompt empty, endless{{{NAN, 1, true}}, {}, {}};
  EXPECT_THROW(predictor_->predict({&empty, 1}, MaskChoice::Single), Error);
  EXPECT_THROW(predictor_->predict({&endless, 1}, MaskChoice::Single), Error);
  std::vector<float> short_mask(5);
  Prompt mask{{}, {}, short_mask};
  EXPECT_THROW(predictor_->predict({&mask, 1}, MaskChoice::Single), Error);
  EXPECT_TRUE(predictor_->predict({}, MaskChoice::Single).empty());
}

EverythingOptions options_of(const data::Json& json) {
  EverythingOptions o;
  o.points_per_side = json.get_int("points_per_side", o.points_per_side);
  o.points_per_batch = json.get_int("points_per_batch", o.points_per_batch);
  o.pred_iou_thresh = json.get_double("pred_iou_thresh", o.pred_iou_thresh);
  o.stability_score_thresh = json.get_double("stability_score_thresh", o.stability_score_thresh);
  o.stability_score_offset = json.get_double("stability_score_offset", o.stability_score_offset);
  o.box_nms_thresh = json.get_double("box_nms_thresh", o.box_nms_thresh);
  o.crop_n_layers = json.get_int("crop_n_layers", o.crop_n_layers);
  o.crop_nms_thresh = json.get_double("crop_nms_thresh", o.crop_nms_thresh);
  o.crop_n_points_downscale_factor =
      json.get_int("crop_n_points_downscale_factor", o.crop_n_points_downscale_factor);
  o.min_mask_region_area = json.get_int("min_mask_region_area", o.min_mask_region_area);
  return o;
}

imaging::Rle rle_of(const data::Json& json) {
  const data::Json::Array& size = json.at("size", "$").as_array("size");
  imaging::Rle rle{size[1].as_int("width"), size[0].as_int("height"), {}};
  for (const data::Json& count : json.at("counts", "$").as_array("counts"))
    rle.counts.push_back(static_cast<uint32_t>(count.as_int("count")));
  return rle;
}

double number(const data::Json& list, size_t index) {
  return list.as_array("list").at(index).as_double("number");
}

void expect_same(const FoundMask& got, const data::Json& wanted) {
  imaging::Mask mask = imaging::decode_rle(got.segmentation);
  imaging::Mask reference = imaging::decode_rle(rle_of(wanted.at("segmentation", "$")));
  int64_t different = 0;
  for (size_t i = 0; i < mask.pixels.size(); ++i)
    different += mask.pixels[i] != reference.pixels[i];
  // A logit within rounding of the threshold may fall on either side.
  EXPECT_LE(different, 1);
  EXPECT_NEAR(static_cast<double>(got.area), wanted.get_double("area", 0), 1);
  EXPECT_NEAR(got.predicted_iou, wanted.get_double("predicted_iou", 9), 1e-4);
  EXPECT_NEAR(got.stability_score, wanted.get_double("stability_score", 9), 0.02);
  const data::Json& box = wanted.at("bbox", "$");
  EXPECT_EQ(got.box, (imaging::Box{static_cast<int64_t>(number(box, 0)),
                                   static_cast<int64_t>(number(box, 1)),
                                   static_cast<int64_t>(number(box, 0) + number(box, 2)),
                                   static_cast<int64_t>(number(box, 1) + number(box, 3))}));
  const data::Json& point = wanted.at("point_coords", "$").as_array("points").at(0);
  EXPECT_NEAR(got.point_x, number(point, 0), 1e-9);
  EXPECT_NEAR(got.point_y, number(point, 1), 1e-9);
  const data::Json& crop = wanted.at("crop_box", "$");
  EXPECT_EQ(got.crop.x0, number(crop, 0));
  EXPECT_EQ(got.crop.y1 - got.crop.y0, number(crop, 3));
}

TEST_F(GoldenSamPipeline, EverythingIsTheOriginals) {
  data::Json sets = data::read_json_file(kFolder + "everything.json", 1 << 20);
  lowered_.plan.model.set("mask_threshold", sets.as_array("$")[0].get_double("mask_threshold", 0));
  open();
  for (const data::Json& set : sets.as_array("$")) {
    const data::Json& options = set.at("options", "$");
    SCOPED_TRACE(options.dump());
    std::vector<FoundMask> got = find_everything(*predictor_, image_, options_of(options));
    const data::Json::Array& wanted = set.at("masks", "$").as_array("masks");
    ASSERT_EQ(got.size(), wanted.size());
    for (size_t i = 0; i < got.size(); ++i) expect_same(got[i], wanted[i]);
  }
}

TEST_F(GoldenSamPipeline, EverythingStopsWhenAsked) {
  open();
  EverythingOptions options;
  options.points_per_side = 4;
  options.points_per_batch = 4;
  std::vector<int64_t> seen;
  auto progress = [&](int64_t done, int64_t all) {
    EXPECT_EQ(all, 16);
    seen.push_back(done);
    if (done == 8) throw Error(ErrorCode::Interrupted, "enough");
  };
  EXPECT_THROW(find_everything(*predictor_, image_, options, progress), Error);
  EXPECT_EQ(seen, (std::vector<int64_t>{0, 4, 8}));
}

}  // namespace
}  // namespace tenon::sam
