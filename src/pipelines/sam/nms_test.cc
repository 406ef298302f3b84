#include "pipelines/sam/nms.h"

#include <gtest/gtest.h>

namespace tenon::sam {
namespace {

TEST(Nms, TheBetterOfTwoAlikeStays) {
  imaging::Box boxes[] = {{0, 0, 10, 10}, {1, 0, 10, 10}, {20, 20, 30, 30}};
  float scores[] = {0.5f, 0.9f, 0.7f};
  EXPECT_EQ(suppress(boxes, scores, 0.7), (std::vector<size_t>{1, 2}));
  EXPECT_EQ(suppress(boxes, scores, 0.95), (std::vector<size_t>{1, 2, 0}));
}

TEST(Nms, EqualScoresKeepTheirOrderAndEmptyBoxesStay) {
  imaging::Box boxes[] = {{0, 0, 0, 0}, {0, 0, 0, 0}, {5, 5, 9, 9}};
  float scores[] = {1, 1, 1};
  EXPECT_EQ(suppress(boxes, scores, 0.5), (std::vector<size_t>{0, 1, 2}));
  EXPECT_TRUE(suppress({}, {}, 0.5).empty());
}

// The threshold itself is kept: above it falls.
TEST(Nms, ExactlyTheThresholdStays) {
  imaging::Box boxes[] = {{0, 0, 4, 4}, {0, 0, 4, 2}};
  float scores[] = {2, 1};
  EXPECT_EQ(suppress(boxes, scores, 0.5).size(), 2u);
  EXPECT_EQ(suppress(boxes, scores, 0.49).size(), 1u);
}

}  // namespace
}  // namespace tenon::sam
