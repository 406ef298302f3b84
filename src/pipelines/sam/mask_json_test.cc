#include "pipelines/sam/mask_json.h"

#include <gtest/gtest.h>

namespace tenon::sam {
namespace {

imaging::Mask ring() {
  imaging::Mask mask = imaging::Mask::make(5, 4);
  for (int64_t y = 0; y < 3; ++y)
    for (int64_t x = 1; x < 4; ++x) mask.row(y)[x] = x != 2 || y != 1;
  return mask;
}

TEST(MaskJson, ARecordHasTheOriginalsFields) {
  data::Json json = to_json(ring(), 0.75f);
  EXPECT_EQ(json.get_int("area", 0), 8);
  EXPECT_EQ(json.at("bbox", "$").dump(), "[1, 0, 2, 2]");
  EXPECT_EQ(json.get_double("predicted_iou", 0), 0.75);
  const data::Json& segmentation = json.at("segmentation", "$");
  EXPECT_EQ(segmentation.at("size", "$").dump(), "[4, 5]");
  imaging::Rle back{5, 4, imaging::parse_counts(segmentation.get_string("counts", ""))};
  EXPECT_EQ(imaging::decode_rle(back).pixels, ring().pixels);
}

TEST(MaskJson, PolygonsKeepHolesApart) {
  data::Json json = polygons_json(ring());
  EXPECT_EQ(json.at("outer", "$").as_array("outer").size(), 1u);
  EXPECT_EQ(json.at("holes", "$").as_array("holes").size(), 1u);
}

TEST(MaskJson, FoundMasksSayWhereAndHowWell) {
  FoundMask found;
  found.segmentation = imaging::encode_rle(ring());
  found.area = 8;
  found.box = {1, 0, 3, 2};
  found.crop = {0, 0, 5, 4};
  found.stability_score = 0.5f;
  found.point_x = 1.5;
  data::Json json = to_json(found);
  EXPECT_EQ(json.at("point_coords", "$").dump(), "[[1.5, 0.0]]");
  EXPECT_EQ(json.at("crop_box", "$").dump(), "[0, 0, 5, 4]");
  EXPECT_EQ(json.get_double("stability_score", 0), 0.5);
}

}  // namespace
}  // namespace tenon::sam
