// Source: facebookresearch/segment-anything segment_anything/automatic_mask_generator.py,
// utils/amg.py.
#include "pipelines/sam/everything.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "base/thread_pool.h"
#include "imaging/components.h"
#include "pipelines/sam/nms.h"

namespace tenon::sam {
namespace {

using imaging::Box;

// Masks this near to a crop's edge are cut off there, unless the picture ends there, too.
constexpr int64_t kEdge = 20;

bool near_crop_edge(const Box& box, const Box& crop, Size picture) {
  auto near = [](int64_t a, int64_t b) { return std::abs(a - b) <= kEdge; };
  return (near(box.x0, crop.x0) && !near(box.x0, 0)) ||
         (near(box.y0, crop.y0) && !near(box.y0, 0)) ||
         (near(box.x1, crop.x1) && !near(box.x1, picture.width)) ||
         (near(box.y1, crop.y1) && !near(box.y1, picture.height));
}

Box shifted(const Box& box, const Box& crop) {
  return {box.x0 + crop.x0, box.y0 + crop.y0, box.x1 + crop.x0, box.y1 + crop.y0};
}

template <class Score>
std::vector<FoundMask> without_duplicates(std::vector<FoundMask> masks, double threshold,
                                          Score score) {
  std::vector<Box> boxes;
  std::vector<float> scores;
  for (const FoundMask& mask : masks) {
    boxes.push_back(mask.box);
    scores.push_back(score(mask));
  }
  std::vector<FoundMask> kept;
  for (size_t index : suppress(boxes, scores, threshold)) kept.push_back(std::move(masks[index]));
  return kept;
}

class Generator {
 public:
  Generator(Predictor& predictor, const imaging::Image& image, const EverythingOptions& options,
            const EverythingProgress& progress, const EncodedImage* encoded)
      : predictor_(predictor),
        image_(image),
        options_(options),
        progress_(progress),
        encoded_(encoded) {}

  std::vector<FoundMask> run() {
    Size picture{image_.width, image_.height};
    std::vector<Crop> crops =
        crop_boxes(picture, options_.crop_n_layers, options_.crop_overlap_ratio);
    for (const Crop& crop : crops) all_points_ += side_of(crop) * side_of(crop);
    std::vector<FoundMask> found;
    for (const Crop& crop : crops) {
      std::vector<FoundMask> masks =
          without_duplicates(masks_of(crop), options_.box_nms_thresh,
                             [](const FoundMask& m) { return m.predicted_iou; });
      std::move(masks.begin(), masks.end(), std::back_inserter(found));
    }
    if (crops.size() > 1) {
      // Masks of smaller crops are finer.
      found =
          without_duplicates(std::move(found), options_.crop_nms_thresh, [](const FoundMask& m) {
            return 1.0f / static_cast<float>((m.crop.x1 - m.crop.x0) * (m.crop.y1 - m.crop.y0));
          });
    }
    if (options_.min_mask_region_area > 0) found = without_small_regions(std::move(found));
    return found;
  }

 private:
  int64_t side_of(const Crop& crop) const {
    double scale = std::pow(static_cast<double>(options_.crop_n_points_downscale_factor),
                            static_cast<double>(crop.layer));
    return static_cast<int64_t>(static_cast<double>(options_.points_per_side) / scale);
  }

  std::vector<FoundMask> masks_of(const Crop& crop) {
    const Box& box = crop.box;
    if (encoded_ && box == Box{0, 0, image_.width, image_.height}) {
      predictor_.set_encoded(*encoded_);
    } else {
      predictor_.set_image(imaging::crop(image_, box.x0, box.y0, box.x1, box.y1));
    }
    int64_t side = side_of(crop);
    std::vector<Prompt> prompts;
    for (int64_t i = 0; i < side * side; ++i) {
      auto place = [&](int64_t at, int64_t length) {
        return (static_cast<double>(at) + 0.5) / static_cast<double>(side) *
               static_cast<double>(length);
      };
      Prompt prompt;
      prompt.points = {{place(i % side, box.x1 - box.x0), place(i / side, box.y1 - box.y0), true}};
      prompts.push_back(std::move(prompt));
    }
    std::vector<FoundMask> found;
    auto batch = static_cast<size_t>(options_.points_per_batch);
    for (size_t begin = 0; begin < prompts.size(); begin += batch) {
      if (progress_) progress_(done_points_, all_points_);
      std::span<const Prompt> part =
          std::span(prompts).subspan(begin, std::min(batch, prompts.size() - begin));
      add_batch(part, crop, found);
      done_points_ += static_cast<int64_t>(part.size());
    }
    return found;
  }

  bool is_good(float predicted_iou) const {
    return options_.pred_iou_thresh <= 0 ||
           predicted_iou > static_cast<float>(options_.pred_iou_thresh);
  }
  bool is_stable(float stability) const {
    auto least = static_cast<float>(options_.stability_score_thresh);
    return !(least > 0) || stability >= least;
  }
  bool is_whole(const Crop& crop) const {
    return crop.box == Box{0, 0, image_.width, image_.height};
  }

  // Masks that are made large on the device come back as bits.
  void add_large(std::span<const Prompt> prompts, const Crop& crop, std::vector<FoundMask>& found) {
    predictor_.predict_large(
        prompts, options_.points_per_batch, static_cast<float>(options_.stability_score_offset),
        [&](float predicted_iou) { return is_good(predicted_iou); },
        [&](std::span<const LargeMask> large) {
          std::vector<std::optional<FoundMask>> masks(large.size());
          process_thread_pool().parallel_for(
              static_cast<int64_t>(large.size()), 1, [&](int64_t begin, int64_t end) {
                for (int64_t i = begin; i < end; ++i) {
                  masks[i] = finish(large[i], crop);
                  if (masks[i]) add_origin(*masks[i], prompts[large[i].object], crop);
                }
              });
          for (std::optional<FoundMask>& mask : masks) {
            if (mask) found.push_back(std::move(*mask));
          }
        });
  }

  static void add_origin(FoundMask& mask, const Prompt& prompt, const Crop& crop) {
    mask.point_x = prompt.points[0].x + static_cast<double>(crop.box.x0);
    mask.point_y = prompt.points[0].y + static_cast<double>(crop.box.y0);
  }

  std::optional<FoundMask> finish(const LargeMask& large, const Crop& crop) const {
    if (!is_stable(large.stability())) return std::nullopt;
    FoundMask found;
    found.stability_score = large.stability();
    found.predicted_iou = large.predicted_iou;
    found.crop = crop.box;
    found.box = shifted(large.box, crop.box);
    Size picture{image_.width, image_.height};
    if (near_crop_edge(found.box, crop.box, picture)) return std::nullopt;
    int64_t width = crop.box.x1 - crop.box.x0, height = crop.box.y1 - crop.box.y0;
    found.segmentation = imaging::encode_rle(large.columns, width, height);
    if (!is_whole(crop)) {
      found.segmentation =
          imaging::encode_rle(imaging::place(imaging::decode_rle(found.segmentation), crop.box.x0,
                                             crop.box.y0, picture.width, picture.height));
    }
    found.area = imaging::area(found.segmentation);
    return found;
  }

  void add_batch(std::span<const Prompt> prompts, const Crop& crop, std::vector<FoundMask>& found) {
    if (predictor_.makes_large_masks()) return add_large(prompts, crop, found);
    std::vector<ObjectMasks> objects =
        predictor_.predict(prompts, MaskChoice::Several, options_.points_per_batch);
    struct Candidate {
      const Prompt* prompt;
      const float* logits;
      float predicted_iou;
    };
    // By quality first: most masks fall before anything is made large.
    std::vector<Candidate> candidates;
    for (size_t i = 0; i < objects.size(); ++i) {
      for (size_t j = 0; j < objects[i].logits.size(); ++j) {
        float iou = objects[i].predicted_iou[j];
        if (is_good(iou)) candidates.push_back({&prompts[i], objects[i].logits[j].data(), iou});
      }
    }
    std::vector<std::optional<FoundMask>> masks(candidates.size());
    process_thread_pool().parallel_for(static_cast<int64_t>(candidates.size()), 1,
                                       [&](int64_t begin, int64_t end) {
                                         for (int64_t i = begin; i < end; ++i) {
                                           masks[i] = finish(candidates[i].logits, crop);
                                           if (!masks[i]) continue;
                                           masks[i]->predicted_iou = candidates[i].predicted_iou;
                                           add_origin(*masks[i], *candidates[i].prompt, crop);
                                         }
                                       });
    for (std::optional<FoundMask>& mask : masks) {
      if (mask) found.push_back(std::move(*mask));
    }
  }

  // The mask at the picture's size, or nothing where it is unstable or cut off by its crop.
  std::optional<FoundMask> finish(const float* logits, const Crop& crop) const {
    auto threshold = static_cast<float>(predictor_.info().mask_threshold);
    StableMask stable = measure_stability(predictor_.resampler(), logits, threshold,
                                          static_cast<float>(options_.stability_score_offset));
    FoundMask found;
    found.stability_score = stable.stability();
    if (!is_stable(found.stability_score)) return std::nullopt;
    Size picture{image_.width, image_.height};
    found.crop = crop.box;
    found.box = shifted(imaging::bounding_box(stable.mask), crop.box);
    if (near_crop_edge(found.box, crop.box, picture)) return std::nullopt;
    found.segmentation =
        imaging::encode_rle(is_whole(crop) ? stable.mask
                                           : imaging::place(stable.mask, crop.box.x0, crop.box.y0,
                                                            picture.width, picture.height));
    found.area = imaging::area(found.segmentation);
    return found;
  }

  // Masks that needed no mending are preferred where two have become alike.
  std::vector<FoundMask> without_small_regions(std::vector<FoundMask> masks) const {
    std::vector<Box> boxes(masks.size());
    std::vector<float> unchanged(masks.size());
    std::vector<imaging::Rle> mended(masks.size());
    int64_t least = options_.min_mask_region_area;
    process_thread_pool().parallel_for(
        static_cast<int64_t>(masks.size()), 1, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) {
            imaging::Mask mask = imaging::decode_rle(masks[i].segmentation);
            bool changed = remove_small_regions(mask, least, imaging::SmallRegions::Holes);
            changed = remove_small_regions(mask, least, imaging::SmallRegions::Islands) || changed;
            boxes[i] = imaging::bounding_box(mask);
            unchanged[i] = changed ? 0.0f : 1.0f;
            if (changed) mended[i] = imaging::encode_rle(mask);
          }
        });
    double threshold = std::max(options_.box_nms_thresh, options_.crop_nms_thresh);
    std::vector<FoundMask> kept;
    for (size_t index : suppress(boxes, unchanged, threshold)) {
      FoundMask& mask = masks[index];
      if (unchanged[index] == 0) {
        mask.segmentation = std::move(mended[index]);
        mask.box = boxes[index];
        mask.area = imaging::area(mask.segmentation);
      }
      kept.push_back(std::move(mask));
    }
    return kept;
  }

  Predictor& predictor_;
  const imaging::Image& image_;
  const EverythingOptions& options_;
  const EverythingProgress& progress_;
  const EncodedImage* encoded_;
  int64_t done_points_ = 0, all_points_ = 0;
};

}  // namespace

void check(const EverythingOptions& options, OptionNames names) {
  Problems problems;
  auto need = [&](bool good, std::string_view name, double got, std::string_view accepted) {
    if (good) return;
    std::string shown(name);
    if (names == OptionNames::Flags) {
      std::ranges::replace(shown, '_', '-');
      shown = "--" + shown;
    }
    problems.add(Error(ErrorCode::Usage, "option is out of range")
                     .at(shown)
                     .got(format_double(got))
                     .accepted(accepted));
  };
  auto whole = [&](std::string_view name, int64_t value, int64_t least, int64_t most) {
    need(value >= least && value <= most, name, static_cast<double>(value),
         std::to_string(least) + " to " + std::to_string(most));
  };
  auto real = [&](std::string_view name, double value, double least, double most) {
    need(value >= least && value <= most, name, value,
         format_double(least) + " to " + format_double(most));
  };
  whole("points_per_side", options.points_per_side, 1, 1024);
  whole("points_per_batch", options.points_per_batch, 1, 4096);
  whole("crop_n_layers", options.crop_n_layers, 0, 4);
  whole("crop_n_points_downscale_factor", options.crop_n_points_downscale_factor, 1, 1024);
  whole("min_mask_region_area", options.min_mask_region_area, 0, int64_t{1} << 40);
  real("pred_iou_thresh", options.pred_iou_thresh, -1e6, 1e6);
  real("stability_score_thresh", options.stability_score_thresh, -1e6, 1e6);
  real("stability_score_offset", options.stability_score_offset, 0, 1e6);
  real("box_nms_thresh", options.box_nms_thresh, 0, 1);
  real("crop_nms_thresh", options.crop_nms_thresh, 0, 1);
  real("crop_overlap_ratio", options.crop_overlap_ratio, 0, 0.99);
  problems.throw_if_any();
}

std::vector<Crop> crop_boxes(Size picture, int64_t layers, double overlap_ratio) {
  std::vector<Crop> crops = {{{0, 0, picture.width, picture.height}, 0}};
  auto shorter = static_cast<double>(std::min(picture.width, picture.height));
  for (int64_t layer = 1; layer <= layers; ++layer) {
    int64_t side = int64_t{1} << layer;
    auto overlap = static_cast<int64_t>(overlap_ratio * shorter * (2 / static_cast<double>(side)));
    auto length = [&](int64_t whole) { return (overlap * (side - 1) + whole + side - 1) / side; };
    int64_t width = length(picture.width), height = length(picture.height);
    for (int64_t i = 0; i < side; ++i) {
      for (int64_t j = 0; j < side; ++j) {
        int64_t x = (width - overlap) * i, y = (height - overlap) * j;
        Box box{x, y, std::min(x + width, picture.width), std::min(y + height, picture.height)};
        // Of a picture a few pixels wide some crops are empty.
        if (box.x0 < box.x1 && box.y0 < box.y1) crops.push_back({box, layer});
      }
    }
  }
  return crops;
}

std::vector<FoundMask> find_everything(Predictor& predictor, const imaging::Image& image,
                                       const EverythingOptions& options,
                                       const EverythingProgress& progress,
                                       const EncodedImage* encoded) {
  check(options);
  return Generator(predictor, image, options, progress, encoded).run();
}

}  // namespace tenon::sam
