#include "cli/run_sam.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace tenon::cli {
namespace {

TEST(RunSam, PromptsAreReadFromTheCommandLine) {
  SamOptions options;
  options.points = {"500,375", "1.5,2,0"};
  options.boxes = {"10,20,30,40"};
  std::vector<sam::Prompt> prompts = parse_sam_prompts(options);
  ASSERT_EQ(prompts.size(), 1u);
  ASSERT_EQ(prompts[0].points.size(), 2u);
  EXPECT_TRUE(prompts[0].points[0].foreground);
  EXPECT_FALSE(prompts[0].points[1].foreground);
  EXPECT_EQ(prompts[0].points[1].x, 1.5);
  EXPECT_EQ(prompts[0].box->y1, 40);
  options.points.clear();
  options.boxes.push_back("1,2,3,4");
  EXPECT_EQ(parse_sam_prompts(options).size(), 2u);
}

TEST(RunSam, BadPlacesAreRefused) {
  for (const char* text : {"", "5", "a,b", "1,2,3", "1,2,0,4", "1,,2", "1,2x"}) {
    SamOptions options;
    options.points = {text};
    EXPECT_THROW(parse_sam_prompts(options), Error) << text;
  }
  SamOptions options;
  options.boxes = {"1,2,3"};
  EXPECT_THROW(parse_sam_prompts(options), Error);
  options.boxes = {"1,2,3,4", "5,6,7,8"};
  options.points = {"1,1"};
  EXPECT_THROW(parse_sam_prompts(options), Error);
}

TEST(RunSam, SeveralMasksHaveNumberedFiles) {
  EXPECT_EQ(numbered_path("mask.png", 0, 1), "mask.png");
  EXPECT_EQ(numbered_path("mask.png", 0, 3), "mask_1.png");
  EXPECT_EQ(numbered_path("a.b/mask", 2, 3), "a.b/mask_3");
  EXPECT_EQ(numbered_path("a/.png", 1, 3), "a/.png_2");
}

}  // namespace
}  // namespace tenon::cli
