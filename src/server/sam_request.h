#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "pipelines/sam/everything.h"

namespace tenon::server {

// What POST /v1/images/{id}/masks asks for (docs/http.md).
struct MaskRequest {
  std::vector<sam::Prompt> prompts;             // one for each object
  std::vector<std::vector<float>> mask_inputs;  // what the prompts' mask_logits lie in
  sam::MaskChoice choice = sam::MaskChoice::Best;
  bool polygons = false, png = false, logits = false;
};

// Throw ErrorCode::BadInput naming the field ("objects[1].points[0]"); unknown fields are errors,
// since a misspelt one would be a wrong answer.
MaskRequest parse_mask_request(std::string_view json, const sam::SamInfo& info);

// What POST /v1/images/{id}/everything asks for; an empty body asks for the defaults.
struct EverythingRequest {
  sam::EverythingOptions settings;
  bool polygons = false, png = false;
};
EverythingRequest parse_everything_request(std::string_view json);

// f32 in the byte order of this machine (little endian), in base64.
std::string encode_logits(const std::vector<float>& logits);

}  // namespace tenon::server
