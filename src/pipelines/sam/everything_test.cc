#include "pipelines/sam/everything.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace tenon::sam {
namespace {

// By hand after segment_anything's generate_crop_boxes.
TEST(Crops, OverlapAndCoverThePicture) {
  std::vector<Crop> crops = crop_boxes({1500, 1000}, 1, 512.0 / 1500.0);
  ASSERT_EQ(crops.size(), 5u);
  EXPECT_EQ(crops[0].box, (imaging::Box{0, 0, 1500, 1000}));
  EXPECT_EQ(crops[1].box, (imaging::Box{0, 0, 921, 671}));
  EXPECT_EQ(crops[4].box, (imaging::Box{580, 330, 1500, 1000}));
  EXPECT_EQ(crops[2].box, (imaging::Box{0, 330, 921, 1000}));  // columns first
  EXPECT_EQ(crop_boxes({1500, 1000}, 2, 0.34).size(), 21u);
  EXPECT_EQ(crop_boxes({1, 1}, 4, 0.34).size(), 1u + 4u);
}

TEST(EverythingOptions, OutOfRangeIsRefusedByName) {
  EverythingOptions options;
  EXPECT_NO_THROW(check(options));
  options.points_per_side = 0;
  options.box_nms_thresh = 1.5;
  auto text_of = [&](OptionNames names) -> std::string {
    try {
      check(options, names);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::Usage);
      return error.what();
    }
    return "";
  };
  std::string flags = text_of(OptionNames::Flags), fields = text_of(OptionNames::Fields);
  EXPECT_NE(flags.find("--points-per-side"), flags.npos);
  EXPECT_NE(flags.find("--box-nms-thresh"), flags.npos);
  EXPECT_NE(fields.find("points_per_side"), fields.npos);
  EXPECT_NE(fields.find("box_nms_thresh"), fields.npos);
}

}  // namespace
}  // namespace tenon::sam
