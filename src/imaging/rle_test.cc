#include "imaging/rle.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "imaging/test_masks.h"

namespace tenon::imaging {
namespace {

// Columns first; the first run is of zeros. By hand from cocoapi's definition.
TEST(Rle, RunsGoDownTheColumns) {
  EXPECT_EQ(encode_rle(make_mask(".##/.#.")).counts, (std::vector<uint32_t>{2, 3, 1}));
  EXPECT_EQ(encode_rle(make_mask("#./..")).counts, (std::vector<uint32_t>{0, 1, 3}));
  EXPECT_EQ(encode_rle(make_mask("##/##")).counts, (std::vector<uint32_t>{0, 4}));
  EXPECT_EQ(encode_rle(make_mask("../..")).counts, (std::vector<uint32_t>{4}));
}

TEST(Rle, MasksComeBack) {
  for (int64_t width : {1, 63, 64, 65, 150}) {
    Mask mask = make_noisy_mask(width, 37, static_cast<uint64_t>(width));
    Rle rle = encode_rle(mask);
    EXPECT_EQ(decode_rle(rle).pixels, mask.pixels);
    EXPECT_EQ(area(rle), area(mask));
    EXPECT_EQ(parse_counts(compress_counts(rle.counts)), rle.counts);
  }
}

// pycocotools.mask.frPyObjects({"size": [9, 10], "counts": [6, 1, 40, 4, 5, 4, 5, 4, 21]}, 9, 10).
TEST(Rle, PrintableFormIsCocos) {
  std::vector<uint32_t> counts = {6, 1, 40, 4, 5, 4, 5, 4, 21};
  EXPECT_EQ(compress_counts(counts), "61X13mN000`0");
  EXPECT_EQ(parse_counts("61X13mN000`0"), counts);
}

TEST(Rle, HostileRunsAreRefused) {
  EXPECT_THROW(decode_rle({4, 4, {3, 4}}), Error);
  EXPECT_THROW(decode_rle({4, 4, {17}}), Error);
  EXPECT_THROW(decode_rle({1 << 20, 1 << 20, {5}}), Error);
  for (const char* text : {"o", "\x7f", " ", "oooooooooooo1", "m"}) {
    EXPECT_THROW(parse_counts(text), Error) << text;
  }
}

TEST(Rle, OfBitsDownTheColumnsIsTheSame) {
  for (int64_t height : {1, 31, 32, 33, 64, 70}) {
    for (int64_t width : {1, 7}) {
      for (int pattern = 0; pattern < 6; ++pattern) {
        Mask mask = Mask::make(width, height);
        int64_t words = (height + 31) / 32;
        std::vector<uint32_t> columns(static_cast<size_t>(width * words), 0);
        for (int64_t x = 0; x < width; ++x) {
          for (int64_t y = 0; y < height; ++y) {
            int64_t i = x * height + y;
            bool set = pattern == 0   ? false
                       : pattern == 1 ? true
                       : pattern == 2 ? i % 2 == 0
                       : pattern == 3 ? y > 20 && y < 50
                       : pattern == 4 ? y == height - 1
                                      : i * 2654435761u % 7 < 3;
            mask.row(y)[x] = set;
            if (set) columns[static_cast<size_t>(x * words + y / 32)] |= 1u << (y % 32);
          }
        }
        EXPECT_EQ(encode_rle(columns, width, height), encode_rle(mask))
            << width << " x " << height << " pattern " << pattern;
      }
    }
  }
}

}  // namespace
}  // namespace tenon::imaging
