#include "imaging/components.h"

#include <gtest/gtest.h>

#include "imaging/test_masks.h"

namespace tenon::imaging {
namespace {

TEST(Components, CornersConnect) {
  Components found = find_components(make_mask("#..#/.#../...#/##.#"));
  EXPECT_EQ(found.sizes, (std::vector<int64_t>{2, 1, 2, 2}));
  EXPECT_EQ(found.labels, (std::vector<int32_t>{1, 0, 0, 2, 0, 1, 0, 0, 0, 0, 0, 3, 4, 4, 0, 3}));
}

TEST(Components, ArmsThatMeetLateAreOne) {
  EXPECT_EQ(find_components(make_mask("#.#.#/#.#.#/#####")).sizes, (std::vector<int64_t>{11}));
  EXPECT_EQ(find_components(make_mask("..#/.#./#..")).sizes, (std::vector<int64_t>{3}));
}

// A flood fill written another way.
TEST(Components, AgreeWithAFloodFill) {
  Mask mask = make_noisy_mask(41, 33, 5);
  Components found = find_components(mask);
  std::vector<int32_t> labels(mask.pixels.size(), 0);
  int32_t next = 0;
  for (int64_t start = 0; start < 41 * 33; ++start) {
    if (!mask.pixels[start] || labels[start]) continue;
    std::vector<int64_t> open = {start};
    labels[start] = ++next;
    while (!open.empty()) {
      int64_t at = open.back();
      open.pop_back();
      for (int64_t dy = -1; dy <= 1; ++dy) {
        for (int64_t dx = -1; dx <= 1; ++dx) {
          int64_t x = at % 41 + dx, y = at / 41 + dy;
          if (x < 0 || y < 0 || x >= 41 || y >= 33) continue;
          int64_t to = y * 41 + x;
          if (mask.pixels[to] && !labels[to]) labels[to] = next, open.push_back(to);
        }
      }
    }
  }
  EXPECT_EQ(found.labels, labels);
}

TEST(SmallRegions, HolesAreFilledAndIslandsRemoved) {
  Mask mask = make_mask("####../#.##.#/####../......");
  EXPECT_TRUE(remove_small_regions(mask, 3, SmallRegions::Holes));
  EXPECT_EQ(mask.pixels, make_mask("####../####.#/####../......").pixels);
  EXPECT_TRUE(remove_small_regions(mask, 3, SmallRegions::Islands));
  EXPECT_EQ(mask.pixels, make_mask("####../####../####../......").pixels);
  EXPECT_FALSE(remove_small_regions(mask, 3, SmallRegions::Islands));
}

TEST(SmallRegions, TheLargestIslandStays) {
  Mask mask = make_mask("#...##/......");
  EXPECT_TRUE(remove_small_regions(mask, 100, SmallRegions::Islands));
  EXPECT_EQ(mask.pixels, make_mask("....##/......").pixels);
}

}  // namespace
}  // namespace tenon::imaging
