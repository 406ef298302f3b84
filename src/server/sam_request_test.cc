#include "server/sam_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace tenon::server {
namespace {

using ::testing::HasSubstr;

sam::SamInfo small_info() {
  sam::SamInfo info;
  info.mask_size = 2;
  return info;
}

MaskRequest parse(std::string_view json) {
  return parse_mask_request(json, small_info());
}

std::string refusal_of(std::string_view json) {
  try {
    parse(json);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::BadInput);
    return error.what();
  }
  return "accepted";
}

TEST(SamRequest, OnePromptStandsAlone) {
  MaskRequest request =
      parse(R"({"points": [[1, 2], [3.5, 4, 0]], "box": [1, 2, 3, 4], "png": true})");
  ASSERT_EQ(request.prompts.size(), 1u);
  ASSERT_EQ(request.prompts[0].points.size(), 2u);
  EXPECT_TRUE(request.prompts[0].points[0].foreground);
  EXPECT_FALSE(request.prompts[0].points[1].foreground);
  EXPECT_EQ(request.prompts[0].points[1].x, 3.5);
  EXPECT_EQ(request.prompts[0].box->y1, 4);
  EXPECT_EQ(request.choice, sam::MaskChoice::Best);
  EXPECT_TRUE(request.png);
  EXPECT_FALSE(request.polygons);
}

TEST(SamRequest, LogitsComeBackAsTheyWent) {
  std::string logits = encode_logits({1.5f, -2.0f, 0.0f, 1e-9f});
  MaskRequest request = parse("{\"objects\": [{\"mask_input\": \"" + logits +
                              "\"}, {\"points\": [[0, 0]]}], \"multimask\": true}");
  ASSERT_EQ(request.prompts.size(), 2u);
  ASSERT_EQ(request.prompts[0].mask_logits.size(), 4u);
  EXPECT_EQ(request.prompts[0].mask_logits[1], -2.0f);
  EXPECT_TRUE(request.prompts[1].mask_logits.empty());
  EXPECT_EQ(request.choice, sam::MaskChoice::Several);
}

TEST(SamRequest, EveryMistakeIsNamed) {
  const std::pair<const char*, const char*> kCases[] = {
      {"", "JSON"},
      {"[]", "body"},
      {"{}", "nothing to look for"},
      {R"({"point": [[1, 2]]})", "unknown field"},
      {R"({"points": [[1]]})", "points[0]"},
      {R"({"points": [[1, 2, 2]]})", "unknown label"},
      {R"({"points": [[1, "2"]]})", "points[0]"},
      {R"({"points": 5})", "points"},
      {R"({"box": [1, 2, 3]})", "box"},
      {R"({"points": [[1, 2]], "multimask": 1})", "multimask"},
      {R"({"objects": []})", "objects"},
      {R"({"objects": [{}]})", "objects[0]"},
      {R"({"objects": [{"points": [[1, 2]], "x": 1}]})", "unknown field"},
      {R"({"objects": [{"points": [[1, 2]]}], "box": [1, 2, 3, 4]})", "beside them"},
      {R"({"mask_input": "AAAA"})", "3 bytes"},
      {R"({"mask_input": "!"})", "no base64"},
      {R"({"points": [[1, 2]], "points": [[1, 2]]})", "points"},
  };
  for (auto [json, message] : kCases) EXPECT_THAT(refusal_of(json), HasSubstr(message)) << json;
}

TEST(SamRequest, SettingsHaveTheirDefaultsAndBounds) {
  EXPECT_EQ(parse_everything_request("").settings.points_per_side, 32);
  EverythingRequest request =
      parse_everything_request(R"({"points_per_side": 8, "box_nms_thresh": 0.5})");
  EXPECT_EQ(request.settings.points_per_side, 8);
  EXPECT_EQ(request.settings.box_nms_thresh, 0.5);
  EXPECT_EQ(request.settings.pred_iou_thresh, 0.88);
  for (const char* json :
       {R"({"points_per_side": 0})", R"({"points_per_side": 65})", R"({"crop_n_layers": 3})",
        R"({"points_per_side": 1.5})", R"({"box_nms_thresh": "1"})", R"({"layers": 1})"})
    EXPECT_THROW(parse_everything_request(json), Error) << json;
}

}  // namespace
}  // namespace tenon::server
