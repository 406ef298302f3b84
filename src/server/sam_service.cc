#include "server/sam_service.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "imaging/decode.h"
#include "imaging/png_write.h"
#include "pipelines/sam/mask_json.h"
#include "server/assets.h"
#include "server/sam_request.h"
#include "text/base64.h"

namespace tenon::server {
namespace {

using data::Json;

constexpr int64_t kMostPictureFileBytes = 64 << 20;
// Sixteen mask inputs of 256 x 256 in base64, and some.
constexpr int64_t kMostJsonBytes = 8 << 20;

enum class Body { None, Json, Picture };

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

Response json_response(int status, const Json& document) {
  return {status, "application/json", document.dump() + "\n", {}};
}

Response no_such_picture() {
  return error_response(
      404, "no_such_image",
      "no such picture; the least recently used ones are dropped: upload it again", "id");
}

// "application/json; charset=utf-8" -> "application/json", in lower case; other charsets: "".
std::string media_type(const Request& request) {
  const std::string* header = request.header("Content-Type");
  if (!header) return "";
  std::string text;
  for (char c : *header) {
    if (c == ' ' || c == '\t' || c == '"') continue;
    text += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  size_t end = text.find(';');
  if (end == text.npos) return text;
  return text.substr(end) == ";charset=utf-8" ? text.substr(0, end) : "";
}

bool fits(Body body, const Request& request) {
  std::string type = media_type(request);
  // Types that a form of another site could send without being asked are not among them.
  if (body == Body::Json) return type == "application/json";
  return body == Body::None || type == "image/jpeg" || type == "image/png" ||
         type == "application/octet-stream";
}

std::string accepted_types(Body body) {
  if (body == Body::Json) return "application/json";
  return "image/jpeg, image/png, application/octet-stream";
}

void add_forms(Json& record, const imaging::Mask& mask, bool polygons, bool png) {
  if (polygons) record.set("polygons", sam::polygons_json(mask));
  if (!png) return;
  std::vector<std::byte> file = imaging::encode_png(mask);
  record.set("png", text::encode_base64({reinterpret_cast<const char*>(file.data()), file.size()}));
}

// Where the page's scripts and pictures may come from: this server alone.
const Header kContentPolicy = {
    "Content-Security-Policy",
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"};

}  // namespace

struct SamService::Call {
  const Request& request;
  std::string id;
  Abandoned abandoned;
};

// A path with at most one `*`, which stands for an id.
struct SamService::Endpoint {
  std::string_view method, path;
  Response (SamService::*answer)(const Call&);
  Body body = Body::None;
  bool is_work = false;
};

const SamService::Endpoint SamService::kEndpoints[] = {
    {"GET", "/health", &SamService::get_health},
    {"GET", "/metrics", &SamService::get_metrics},
    {"GET", "/v1/models", &SamService::get_models},
    {"POST", "/v1/images", &SamService::post_image, Body::Picture, true},
    {"GET", "/v1/images/*", &SamService::get_image},
    {"DELETE", "/v1/images/*", &SamService::delete_image},
    {"POST", "/v1/images/*/masks", &SamService::post_masks, Body::Json, true},
    {"POST", "/v1/images/*/everything", &SamService::post_everything, Body::Json, true},
};

namespace {

const Asset* find_asset(std::string_view path) {
  std::span<const Asset> all = assets();
  auto found =
      std::find_if(all.begin(), all.end(), [&](const Asset& asset) { return asset.path == path; });
  return found == all.end() ? nullptr : &*found;
}

bool matches(std::string_view pattern, std::string_view path, std::string* id) {
  size_t star = pattern.find('*');
  if (star == pattern.npos) return pattern == path;
  std::string_view before = pattern.substr(0, star), behind = pattern.substr(star + 1);
  if (path.size() <= before.size() + behind.size()) return false;
  if (!path.starts_with(before) || !path.ends_with(behind)) return false;
  std::string_view middle = path.substr(star, path.size() - before.size() - behind.size());
  bool plain = std::all_of(middle.begin(), middle.end(),
                           [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z'); });
  if (plain && id) *id = std::string(middle);
  return plain;
}

}  // namespace

SamService::SamService(sam::Predictor& predictor, const SamServiceOptions& options)
    : predictor_(predictor),
      options_(options),
      model_name_(predictor.session().plan().name),
      pictures_(options.most_pictures, options.most_picture_bytes),
      metrics_(model_name_) {}

const SamService::Endpoint* SamService::find(std::string_view path, std::string_view method,
                                             std::string* id, std::string* allowed) {
  static constexpr Endpoint kAsset = {"GET", "/", &SamService::get_asset};
  auto fits_method = [&](std::string_view wanted) {
    if (allowed) *allowed += (allowed->empty() ? "" : ", ") + std::string(wanted);
    if (allowed && wanted == "GET") *allowed += ", HEAD";
    return method == wanted || (method == "HEAD" && wanted == "GET");
  };
  if (find_asset(path)) return fits_method("GET") ? &kAsset : nullptr;
  for (const Endpoint& endpoint : kEndpoints) {
    if (matches(endpoint.path, path, id) && fits_method(endpoint.method)) return &endpoint;
  }
  return nullptr;
}

std::variant<Route, Response> SamService::route(const Request& request) {
  std::string allowed;
  const Endpoint* endpoint = find(request.path, request.method, nullptr, &allowed);
  if (!endpoint && allowed.empty()) return error_response(404, "not_found", "no such path");
  if (!endpoint) {
    Response refusal =
        error_response(405, "method_not_allowed", "this path is used with " + allowed);
    refusal.headers.push_back({"Allow", allowed});
    return refusal;
  }
  if (!fits(endpoint->body, request)) {
    return error_response(415, "content_type", "accepted: " + accepted_types(endpoint->body),
                          "Content-Type");
  }
  // Bodies without a meaning are read, so that what follows them is found, but not long ones.
  int64_t most = 1 << 16;
  if (endpoint->body == Body::Picture) most = kMostPictureFileBytes;
  if (endpoint->body == Body::Json) most = kMostJsonBytes;
  return Route{most, endpoint->is_work};
}

Response SamService::answer(const Request& request, Abandoned abandoned) {
  Call call{request, "", abandoned};
  const Endpoint* endpoint = find(request.path, request.method, &call.id, nullptr);
  TENON_CHECK(endpoint != nullptr);  // route() has found it
  return (this->*endpoint->answer)(call);
}

void SamService::answered(const Request& request, int status, double waited, double took) {
  const Endpoint* endpoint = find(request.path, request.method, nullptr, nullptr);
  metrics_.count(endpoint ? endpoint->path : "other", status, waited, took);
}

Response SamService::get_asset(const Call& call) {
  const Asset* asset = find_asset(call.request.path);
  return {200, std::string(asset->type), std::string(asset->content), {kContentPolicy}};
}

Response SamService::get_health(const Call&) {
  Json document = Json::object();
  document.set("status", "ok").set("version", options_.version).set("model", model_name_);
  document.set("device", options_.device).set("plan_digest", options_.plan_digest);
  document.set("proof_note", options_.proof_note);
  return json_response(200, document);
}

Response SamService::get_models(const Call&) {
  const sam::SamInfo& info = predictor_.info();
  Json model = Json::object(), list = Json::array(), document = Json::object();
  model.set("id", model_name_).set("object", "model").set("owned_by", "tenon");
  model.set("image_size", info.image_size).set("mask_size", info.mask_size);
  model.set("max_points", info.max_points - 2);
  list.push_back(std::move(model));
  return json_response(200, document.set("object", "list").set("data", std::move(list)));
}

Response SamService::get_metrics(const Call&) {
  auto [running, waiting] = load_ ? load_() : std::pair<int64_t, int64_t>();
  auto real = [](int64_t count) { return static_cast<double>(count); };
  std::map<std::string, double> gauges = {{"tenon:num_requests_running", real(running)},
                                          {"tenon:num_requests_waiting", real(waiting)},
                                          {"tenon:images_held", real(pictures_.count())},
                                          {"tenon:image_bytes_held", real(pictures_.bytes())}};
  std::string text =
      metrics_.text(gauges, {{"device", options_.device}, {"plan_digest", options_.plan_digest}});
  return {200, "text/plain; version=0.0.4; charset=utf-8", std::move(text), {}};
}

Response SamService::post_image(const Call& call) {
  auto begin = std::chrono::steady_clock::now();
  imaging::DecodedImage decoded =
      imaging::decode_image(std::as_bytes(std::span(call.request.body)));
  double decode_seconds = seconds_since(begin);
  begin = std::chrono::steady_clock::now();
  current_ = nullptr;
  predictor_.set_image(decoded.image);
  Picture picture;
  picture.encoded = predictor_.encoded();
  picture.image = std::move(decoded.image);
  Json notes = Json::array(), seconds = Json::object(), document = Json::object();
  for (const std::string& note : decoded.notes) notes.push_back(note);
  seconds.set("decode", decode_seconds).set("encode", seconds_since(begin));
  current_ = pictures_.add(std::move(picture));
  document.set("id", current_->id);
  document.set("width", current_->image.width).set("height", current_->image.height);
  document.set("format", decoded.format);
  document.set("exif_orientation", int64_t{decoded.orientation});
  document.set("notes", std::move(notes)).set("seconds", std::move(seconds));
  return json_response(201, document);
}

Response SamService::get_image(const Call& call) {
  std::shared_ptr<const Picture> picture = pictures_.find(call.id);
  if (!picture) return no_such_picture();
  Json document = Json::object(), progress;
  {
    std::lock_guard lock(everything_mutex_);
    if (everything_ && everything_->image == call.id) {
      progress = Json::object();
      progress.set("done", everything_->done).set("all", everything_->all);
    }
  }
  document.set("id", call.id);
  document.set("width", picture->image.width).set("height", picture->image.height);
  return json_response(200, document.set("everything", std::move(progress)));
}

Response SamService::delete_image(const Call& call) {
  if (!pictures_.remove(call.id)) return no_such_picture();
  return {204, "application/json", "", {}};
}

std::shared_ptr<const Picture> SamService::take(const std::string& id) {
  std::shared_ptr<const Picture> picture = pictures_.find(id);
  if (!picture) return nullptr;
  if (current_ != picture) predictor_.set_encoded(picture->encoded);
  current_ = picture;
  return picture;
}

Response SamService::post_masks(const Call& call) {
  MaskRequest wanted = parse_mask_request(call.request.body, predictor_.info());
  std::shared_ptr<const Picture> picture = take(call.id);
  if (!picture) return no_such_picture();
  auto begin = std::chrono::steady_clock::now();
  std::vector<sam::ObjectMasks> objects = predictor_.predict(wanted.prompts, wanted.choice);
  auto threshold = static_cast<float>(predictor_.info().mask_threshold);
  Json list = Json::array(), seconds = Json::object(), document = Json::object();
  for (size_t i = 0; i < objects.size(); ++i) {
    for (size_t j = 0; j < objects[i].logits.size(); ++j) {
      const std::vector<float>& logits = objects[i].logits[j];
      imaging::Mask mask = predictor_.resampler().threshold(logits.data(), threshold);
      Json record = sam::to_json(mask, objects[i].predicted_iou[j]);
      record.set("object", static_cast<int64_t>(i));
      add_forms(record, mask, wanted.polygons, wanted.png);
      if (wanted.logits) record.set("logits", encode_logits(logits));
      list.push_back(std::move(record));
    }
  }
  seconds.set("masks", seconds_since(begin));
  document.set("image", call.id).set("masks", std::move(list)).set("seconds", std::move(seconds));
  return json_response(200, document);
}

void SamService::set_everything(std::optional<Everything> now) {
  std::lock_guard lock(everything_mutex_);
  everything_ = std::move(now);
}

Response SamService::post_everything(const Call& call) {
  EverythingRequest wanted = parse_everything_request(call.request.body);
  std::shared_ptr<const Picture> picture = pictures_.find(call.id);
  if (!picture) return no_such_picture();
  auto begin = std::chrono::steady_clock::now();
  // Crops make the predictor's picture another one; it is set again for the next click.
  current_ = nullptr;
  struct Ended {
    SamService& service;
    ~Ended() { service.set_everything(std::nullopt); }
  } ended{*this};
  auto progress = [&](int64_t done, int64_t all) {
    set_everything(Everything{call.id, done, all});
    if (call.abandoned()) throw Error(ErrorCode::Interrupted, "nobody waits for the answer");
  };
  std::vector<sam::FoundMask> found = sam::find_everything(
      predictor_, picture->image, wanted.settings, progress, &picture->encoded);
  Json list = Json::array(), seconds = Json::object(), document = Json::object();
  for (const sam::FoundMask& mask : found) {
    Json record = sam::to_json(mask);
    if (wanted.polygons || wanted.png)
      add_forms(record, imaging::decode_rle(mask.segmentation), wanted.polygons, wanted.png);
    list.push_back(std::move(record));
  }
  seconds.set("masks", seconds_since(begin));
  document.set("image", call.id).set("masks", std::move(list)).set("seconds", std::move(seconds));
  return json_response(200, document);
}

}  // namespace tenon::server
