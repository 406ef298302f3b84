#include "imaging/polygons.h"

#include <gtest/gtest.h>

#include "imaging/test_masks.h"

namespace tenon::imaging {
namespace {

TEST(Polygons, ASquareHasFourCorners) {
  std::vector<Polygon> polygons = outlines(make_mask("..../.##./.##./...."));
  ASSERT_EQ(polygons.size(), 1u);
  EXPECT_FALSE(polygons[0].hole);
  EXPECT_EQ(polygons[0].corners, (std::vector<Corner>{{1, 1}, {3, 1}, {3, 3}, {1, 3}}));
}

TEST(Polygons, HolesAreApart) {
  std::vector<Polygon> polygons = outlines(make_mask("###/#.#/###"));
  ASSERT_EQ(polygons.size(), 2u);
  EXPECT_FALSE(polygons[0].hole);
  EXPECT_TRUE(polygons[1].hole);
  EXPECT_EQ(polygons[1].corners.size(), 4u);
  EXPECT_TRUE(outlines(Mask::make(3, 3)).empty());
}

// Even-odd filling: the centre of a pixel is inside where an odd number of vertical edges lie left.
TEST(Polygons, FillingThemGivesTheMaskBack) {
  for (uint64_t seed : {1, 2, 3}) {
    Mask mask = make_noisy_mask(29, 31, seed);
    Mask filled = Mask::make(29, 31);
    for (const Polygon& polygon : outlines(mask)) {
      for (size_t i = 0; i < polygon.corners.size(); ++i) {
        Corner a = polygon.corners[i], b = polygon.corners[(i + 1) % polygon.corners.size()];
        ASSERT_TRUE((a.x == b.x) != (a.y == b.y));
        for (int64_t y = std::min(a.y, b.y); a.x == b.x && y < std::max(a.y, b.y); ++y) {
          for (int64_t x = a.x; x < 29; ++x) filled.row(y)[x] ^= 1;
        }
      }
    }
    EXPECT_EQ(filled.pixels, mask.pixels) << seed;
  }
}

}  // namespace
}  // namespace tenon::imaging
