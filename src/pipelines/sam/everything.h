#pragma once

#include <array>
#include <functional>
#include <vector>

#include "imaging/rle.h"
#include "pipelines/sam/predictor.h"

namespace tenon::sam {

// Parameters and defaults of the original's SamAutomaticMaskGenerator.
struct EverythingOptions {
  int64_t points_per_side = 32;
  int64_t points_per_batch = 64;
  double pred_iou_thresh = 0.88;
  double stability_score_thresh = 0.95;
  double stability_score_offset = 1.0;
  double box_nms_thresh = 0.7;
  int64_t crop_n_layers = 0;
  double crop_nms_thresh = 0.7;
  double crop_overlap_ratio = 512.0 / 1500.0;
  int64_t crop_n_points_downscale_factor = 1;
  int64_t min_mask_region_area = 0;
};
// How an error names an option: points_per_side or --points-per-side.
enum class OptionNames { Fields, Flags };
// Throws ErrorCode::Usage listing every option out of range.
void check(const EverythingOptions& options, OptionNames names = OptionNames::Fields);

struct FoundMask {
  imaging::Rle segmentation;  // of the whole picture
  int64_t area = 0;
  imaging::Box box;  // edges, inclusive
  float predicted_iou = 0, stability_score = 0;
  double point_x = 0, point_y = 0;
  imaging::Box crop;  // the last two exclusive
};

// Called before each batch of points with how many are done of how many; may throw to stop.
using EverythingProgress = std::function<void(int64_t done, int64_t all)>;

// All masks of a picture: a grid of clicks on it and on its crops, filtered by predicted quality
// and stability, without duplicates; best first. Sets the predictor's picture. `encoded`: the
// embedding of the whole picture where it is known; borrowed as by Predictor::set_encoded.
std::vector<FoundMask> find_everything(Predictor& predictor, const imaging::Image& image,
                                       const EverythingOptions& options,
                                       const EverythingProgress& progress = {},
                                       const EncodedImage* encoded = nullptr);

// The crops of a picture: itself, then 4, 16, ... a layer.
struct Crop {
  imaging::Box box;  // the last two exclusive
  int64_t layer = 0;
};
std::vector<Crop> crop_boxes(Size picture, int64_t layers, double overlap_ratio);

}  // namespace tenon::sam
