#include "imaging/resize.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "imaging/decode.h"

namespace tenon::imaging {
namespace {

const std::string kFolder = TENON_GOLDEN_IMAGING;

TEST(Resize, IsPillowsBitForBit) {
  Image source = read_image(kFolder + "source.png").image;
  for (const char* name : {"smaller", "narrow", "larger", "wide", "one", "same_width"}) {
    Image wanted = read_image(kFolder + "resized_" + name + ".png").image;
    Image got = resize_bilinear(source, wanted.width, wanted.height);
    EXPECT_EQ(got.pixels, wanted.pixels) << name;
  }
}

TEST(Resize, SameSizeChangesNothing) {
  Image source = read_image(kFolder + "source.png").image;
  EXPECT_EQ(resize_bilinear(source, source.width, source.height).pixels, source.pixels);
}

TEST(Resize, SizesHaveLimits) {
  Image source = Image::make(2, 2);
  EXPECT_THROW(resize_bilinear(source, 0, 4), Error);
  EXPECT_THROW(resize_bilinear(source, 60'000, 60'000), Error);
}

}  // namespace
}  // namespace tenon::imaging
