#include "cli/sketch.h"

#include <gtest/gtest.h>

namespace tenon::cli {
namespace {

imaging::Mask box_of(int64_t width, int64_t height, imaging::Box box) {
  imaging::Mask mask = imaging::Mask::make(width, height);
  for (int64_t y = box.y0; y < box.y1; ++y)
    std::fill(mask.row(y) + box.x0, mask.row(y) + box.x1, uint8_t{1});
  return mask;
}

TEST(Sketch, CellsAreTwiceAsHighAsWide) {
  std::vector<imaging::Mask> masks = {box_of(8, 8, {4, 0, 8, 4})};
  EXPECT_EQ(sketch(masks, 4), "..##\n....\n");
  EXPECT_EQ(sketch(masks, 100), "....####\n....####\n........\n........\n");
}

TEST(Sketch, SmallMasksLieOnLargeOnes) {
  std::vector<imaging::Mask> masks = {box_of(8, 8, {0, 0, 8, 8}), box_of(8, 8, {0, 4, 2, 8})};
  EXPECT_EQ(sketch(masks, 4), "aaaa\nbaaa\n");
}

TEST(Sketch, OddSizesFit) {
  EXPECT_EQ(sketch({}, 4), "");
  std::vector<imaging::Mask> dot = {box_of(1, 1, {0, 0, 1, 1})};
  EXPECT_EQ(sketch(dot), "#\n");
  std::vector<imaging::Mask> line = {box_of(300, 1, {0, 0, 150, 1})};
  EXPECT_EQ(sketch(line, 10), "#####.....\n");
  std::vector<imaging::Mask> many(30, box_of(2, 2, {0, 0, 2, 2}));
  EXPECT_EQ(sketch(many, 1), "a\n");
}

}  // namespace
}  // namespace tenon::cli
