#include "server/sam_request.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/text.h"
#include "data/json.h"
#include "text/base64.h"

namespace tenon::server {
namespace {

using data::Json;

constexpr size_t kMostObjects = 64;
// "everything" of one request: a grid of 64 x 64 on the picture and on 4 + 16 crops.
constexpr int64_t kMostPointsPerSide = 64, kMostCropLayers = 2;

Error wrong(const std::string& path, std::string_view problem) {
  return Error(ErrorCode::BadInput, problem).at(path);
}

Json parse_body(std::string_view json) {
  // RFC 8259 forbids the mark to whoever sends.
  if (json.starts_with("\xef\xbb\xbf")) throw wrong("body", "begins with a byte order mark");
  return data::parse_json(json);
}

void check_fields(const Json& object, const std::string& path,
                  const std::vector<std::string>& known) {
  for (const Json::Member& member : object.as_object(path)) {
    if (std::find(known.begin(), known.end(), member.first) != known.end()) continue;
    throw wrong(path, "unknown field").got(member.first).accepted(join(known, ", "));
  }
}

std::vector<double> numbers(const Json& list, const std::string& path, size_t least, size_t most,
                            std::string_view accepted) {
  const Json::Array& items = list.as_array(path);
  if (items.size() < least || items.size() > most)
    throw wrong(path, "wrong count of numbers")
        .got(std::to_string(items.size()))
        .accepted(accepted);
  std::vector<double> values;
  for (const Json& item : items) values.push_back(item.as_double(path));
  return values;
}

std::vector<float> decode_logits(const Json& text, const std::string& path,
                                 const sam::SamInfo& info) {
  std::optional<std::string> bytes = text::decode_base64(text.as_string(path));
  auto wanted = static_cast<size_t>(info.mask_size * info.mask_size) * sizeof(float);
  if (!bytes || bytes->size() != wanted) {
    throw wrong(path, "not the logits of a small mask")
        .got(bytes ? std::to_string(bytes->size()) + " bytes" : "no base64")
        .accepted("base64 of " + std::to_string(wanted) +
                  " bytes: " + std::to_string(info.mask_size) + " x " +
                  std::to_string(info.mask_size) + " f32 values, as `logits` gives them");
  }
  std::vector<float> logits(wanted / sizeof(float));
  std::memcpy(logits.data(), bytes->data(), wanted);
  return logits;
}

// One object's prompt; the logits go to `mask_input`.
sam::Prompt parse_object(const Json& object, const std::string& path, const sam::SamInfo& info,
                         std::vector<float>& mask_input) {
  sam::Prompt prompt;
  if (const Json* points = object.find("points")) {
    for (const Json& point : points->as_array(path + "points")) {
      std::string place = path + "points[" + std::to_string(prompt.points.size()) + "]";
      auto n = numbers(point, place, 2, 3, "[x, y], or [x, y, 0] beside the object");
      if (n.size() == 3 && n[2] != 0 && n[2] != 1)
        throw wrong(place, "unknown label").got(format_double(n[2])).accepted("0, 1");
      prompt.points.push_back({n[0], n[1], n.size() < 3 || n[2] == 1});
    }
  }
  if (const Json* box = object.find("box"); box && !box->is_null()) {
    auto n = numbers(*box, path + "box", 4, 4, "[x0, y0, x1, y1]");
    prompt.box = sam::PromptBox{n[0], n[1], n[2], n[3]};
  }
  if (const Json* mask = object.find("mask_input"); mask && !mask->is_null())
    mask_input = decode_logits(*mask, path + "mask_input", info);
  bool empty = prompt.points.empty() && !prompt.box && mask_input.empty();
  if (!empty) return prompt;
  throw wrong(path.empty() ? "points" : path, "nothing to look for")
      .accepted("at least one of points, box, mask_input");
}

bool flag(const Json& document, std::string_view name) {
  const Json* value = document.find(name);
  return value && !value->is_null() && value->as_bool(name);
}

void set_whole(const Json& document, std::string_view name, int64_t& value) {
  if (const Json* given = document.find(name)) value = given->as_int(name);
}

void set_real(const Json& document, std::string_view name, double& value) {
  if (const Json* given = document.find(name)) value = given->as_double(name);
}

}  // namespace

MaskRequest parse_mask_request(std::string_view json, const sam::SamInfo& info) {
  Json document = parse_body(json);
  check_fields(
      document, "body",
      {"points", "box", "mask_input", "objects", "multimask", "polygons", "png", "logits"});
  MaskRequest request;
  request.polygons = flag(document, "polygons");
  request.png = flag(document, "png");
  request.logits = flag(document, "logits");
  if (flag(document, "multimask")) request.choice = sam::MaskChoice::Several;
  const Json* objects = document.find("objects");
  if (!objects) {
    request.mask_inputs.resize(1);
    request.prompts = {parse_object(document, "", info, request.mask_inputs[0])};
  } else {
    if (document.find("points") || document.find("box") || document.find("mask_input"))
      throw wrong("objects", "prompts both in objects and beside them").accepted("one of the two");
    const Json::Array& list = objects->as_array("objects");
    if (list.empty() || list.size() > kMostObjects) {
      throw wrong("objects", "wrong count of objects")
          .got(std::to_string(list.size()))
          .accepted("1 to " + std::to_string(kMostObjects));
    }
    request.mask_inputs.resize(list.size());
    for (size_t i = 0; i < list.size(); ++i) {
      std::string path = "objects[" + std::to_string(i) + "].";
      check_fields(list[i], path, {"points", "box", "mask_input"});
      request.prompts.push_back(parse_object(list[i], path, info, request.mask_inputs[i]));
    }
  }
  for (size_t i = 0; i < request.prompts.size(); ++i)
    request.prompts[i].mask_logits = request.mask_inputs[i];
  return request;
}

EverythingRequest parse_everything_request(std::string_view json) {
  EverythingRequest request;
  if (json.empty()) return request;
  Json document = parse_body(json);
  check_fields(document, "body",
               {"points_per_side", "points_per_batch", "pred_iou_thresh", "stability_score_thresh",
                "stability_score_offset", "box_nms_thresh", "crop_n_layers", "crop_nms_thresh",
                "crop_overlap_ratio", "crop_n_points_downscale_factor", "min_mask_region_area",
                "polygons", "png"});
  sam::EverythingOptions& settings = request.settings;
  set_whole(document, "points_per_side", settings.points_per_side);
  set_whole(document, "points_per_batch", settings.points_per_batch);
  set_real(document, "pred_iou_thresh", settings.pred_iou_thresh);
  set_real(document, "stability_score_thresh", settings.stability_score_thresh);
  set_real(document, "stability_score_offset", settings.stability_score_offset);
  set_real(document, "box_nms_thresh", settings.box_nms_thresh);
  set_whole(document, "crop_n_layers", settings.crop_n_layers);
  set_real(document, "crop_nms_thresh", settings.crop_nms_thresh);
  set_real(document, "crop_overlap_ratio", settings.crop_overlap_ratio);
  set_whole(document, "crop_n_points_downscale_factor", settings.crop_n_points_downscale_factor);
  set_whole(document, "min_mask_region_area", settings.min_mask_region_area);
  request.polygons = flag(document, "polygons");
  request.png = flag(document, "png");
  sam::check(settings);
  if (settings.points_per_side > kMostPointsPerSide || settings.crop_n_layers > kMostCropLayers) {
    throw wrong("points_per_side, crop_n_layers", "too much for one request")
        .got(std::to_string(settings.points_per_side) + ", " +
             std::to_string(settings.crop_n_layers))
        .accepted("at most " + std::to_string(kMostPointsPerSide) + ", " +
                  std::to_string(kMostCropLayers));
  }
  return request;
}

std::string encode_logits(const std::vector<float>& logits) {
  return text::encode_base64(
      {reinterpret_cast<const char*>(logits.data()), logits.size() * sizeof(float)});
}

}  // namespace tenon::server
