#include "pipelines/sam/mask_json.h"

#include "imaging/polygons.h"

namespace tenon::sam {
namespace {

using data::Json;

Json whole_list(std::initializer_list<int64_t> numbers) {
  Json list = Json::array();
  for (int64_t number : numbers) list.push_back(number);
  return list;
}

}  // namespace

Json to_json(const imaging::Rle& rle) {
  Json json = Json::object();
  json.set("size", whole_list({rle.height, rle.width}));
  json.set("counts", imaging::compress_counts(rle.counts));
  return json;
}

Json to_json(const imaging::Box& box) {
  return whole_list({box.x0, box.y0, box.x1 - box.x0, box.y1 - box.y0});
}

Json polygons_json(const imaging::Mask& mask) {
  Json outer = Json::array(), holes = Json::array();
  for (const imaging::Polygon& polygon : imaging::outlines(mask)) {
    Json corners = Json::array();
    for (const imaging::Corner& corner : polygon.corners) {
      corners.push_back(corner.x);
      corners.push_back(corner.y);
    }
    (polygon.hole ? holes : outer).push_back(std::move(corners));
  }
  Json json = Json::object();
  json.set("outer", std::move(outer)).set("holes", std::move(holes));
  return json;
}

Json to_json(const imaging::Mask& mask, float predicted_iou) {
  Json json = Json::object();
  json.set("area", imaging::area(mask)).set("bbox", to_json(imaging::bounding_box(mask)));
  json.set("predicted_iou", static_cast<double>(predicted_iou));
  json.set("segmentation", to_json(imaging::encode_rle(mask)));
  return json;
}

Json to_json(const FoundMask& found) {
  Json points = Json::array(), point = Json::array(), json = Json::object();
  point.push_back(found.point_x);
  point.push_back(found.point_y);
  points.push_back(std::move(point));
  json.set("area", found.area).set("bbox", to_json(found.box));
  json.set("predicted_iou", static_cast<double>(found.predicted_iou));
  json.set("point_coords", std::move(points));
  json.set("stability_score", static_cast<double>(found.stability_score));
  json.set("crop_box", to_json(found.crop)).set("segmentation", to_json(found.segmentation));
  return json;
}

}  // namespace tenon::sam
