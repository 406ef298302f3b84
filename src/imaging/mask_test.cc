#include "imaging/mask.h"

#include <gtest/gtest.h>

#include "imaging/image.h"
#include "imaging/overlay.h"
#include "imaging/test_masks.h"

namespace tenon::imaging {
namespace {

TEST(Mask, BoxHasInclusiveEdgesAndIsZeroWhereEmpty) {
  EXPECT_EQ(bounding_box(make_mask("...../..#../.##../.....")), (Box{1, 1, 2, 2}));
  EXPECT_EQ(bounding_box(make_mask("#....")), (Box{0, 0, 0, 0}));
  EXPECT_EQ(bounding_box(Mask::make(4, 4)), Box{});
}

TEST(Mask, PlacedMaskKeepsItsPixels) {
  Mask placed = place(make_mask("#./##"), 2, 1, 5, 4);
  EXPECT_EQ(placed.pixels, make_mask("...../..#../..##./.....").pixels);
  EXPECT_EQ(area(placed), 3);
}

TEST(Overlay, ColoursTheMaskAndNothingElse) {
  Image image = Image::make(5, 5);
  Mask mask = make_mask("...../.###./.###./.###./.....");
  draw_mask(image, mask, {200, 100, 50});
  EXPECT_EQ(image.row(0)[0], 0);
  EXPECT_EQ(image.row(1)[3], 200);      // the border, in full
  EXPECT_EQ(image.row(2)[2 * 3], 100);  // inside, half and half
  EXPECT_NE(overlay_colour(0), overlay_colour(1));
}

}  // namespace
}  // namespace tenon::imaging
