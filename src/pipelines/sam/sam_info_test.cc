#include "pipelines/sam/sam_info.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "pipelines/sam/preprocess.h"

namespace tenon::sam {
namespace {

plan::Plan plan_of(std::string_view model) {
  plan::Plan plan;
  plan.pipeline = "sam";
  plan.model = data::parse_json(model);
  return plan;
}

constexpr std::string_view kGood =
    R"({"image_size": 64, "grid": 4, "width": 32, "masks": 4, "mask_size": 16, "max_prompts": 8,
        "max_points": 8, "pixel_mean": [123.675, 116.28, 103.53], "pixel_deviation": [58, 57, 57]})";

TEST(SamInfo, ReadsWhatThePipelineNeeds) {
  SamInfo info = read_sam_info(plan_of(kGood));
  EXPECT_EQ(info.image_size, 64);
  EXPECT_EQ(info.masks, 4);
  EXPECT_EQ(info.mask_threshold, 0);
  EXPECT_FLOAT_EQ(info.pixel_mean[0], 123.675f);
}

TEST(SamInfo, OtherPlansAndHostileOnesAreRefused) {
  plan::Plan other = plan_of(kGood);
  other.pipeline = "llm";
  try {
    read_sam_info(other);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::WrongPlan);
  }
  try {
    read_sam_info(plan_of(R"({"image_size": 99999999, "pixel_mean": [1, 2], "grid": -4,
                              "pixel_deviation": [0, 1, 1]})"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::BadInput);
    for (const char* field : {"image_size", "grid", "masks", "pixel_mean", "pixel_deviation"})
      EXPECT_NE(std::string(error.what()).find(field), std::string::npos) << field;
  }
}

TEST(FittedSize, RoundsAsTheOriginal) {
  EXPECT_EQ(fitted_size({1500, 1000}, 1024), (Size{1024, 683}));
  EXPECT_EQ(fitted_size({1000, 1500}, 1024), (Size{683, 1024}));
  EXPECT_EQ(fitted_size({1, 1}, 1024), (Size{1024, 1024}));
  EXPECT_EQ(fitted_size({100'000, 3}, 1024), (Size{1024, 1}));
}

TEST(Pixels, AreNormalisedAndPaddedWithZeros) {
  SamInfo info = read_sam_info(plan_of(kGood));
  imaging::Image image = imaging::Image::make(64, 32);
  std::fill(image.pixels.begin(), image.pixels.end(), 200);
  Tensor pixels = make_pixels(image, info);
  EXPECT_FLOAT_EQ(pixels.as<float>()[0], (200 - 123.675f) / 58);
  EXPECT_EQ(pixels.as<float>()[32 * 64 * 3], 0.0f);  // the first padded row
}

}  // namespace
}  // namespace tenon::sam
