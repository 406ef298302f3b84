#pragma once

#include <array>
#include <cstdint>

#include "plan/plan.h"

namespace tenon::sam {

// What a plan says about its Segment Anything model.
struct SamInfo {
  int64_t image_size = 0;  // pixels on a side of the square the encoder takes
  int64_t grid = 0;        // cells on a side of the embedding
  int64_t width = 0;       // channels of the embedding
  int64_t masks = 0;       // of one prompt: the single one, then those of several
  int64_t mask_size = 0;   // pixels on a side of the masks the decoder gives
  double mask_threshold = 0;
  std::array<float, 3> pixel_mean{}, pixel_deviation{};  // of red, green, blue in 0 to 255
  int64_t max_prompts = 0, max_points = 0;               // of one run of the decoder
};

// Throws ErrorCode::WrongPlan where the plan is for another pipeline, ErrorCode::BadInput listing
// every field that is missing or wrong.
SamInfo read_sam_info(const plan::Plan& plan);

}  // namespace tenon::sam
