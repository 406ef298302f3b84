#pragma once

#include <cstdint>
#include <span>

namespace tenon::metrics {

// Pixels of two masks: where both hold, and where one does.
struct MaskOverlap {
  int64_t both = 0, either = 0;
  // Intersection over union; 1 where both masks are empty.
  double iou() const {
    return either == 0 ? 1.0 : static_cast<double>(both) / static_cast<double>(either);
  }
};

// A mask is where logits are above the threshold; NaN is not. Throws ErrorCode::BadInput where the
// sizes differ.
MaskOverlap mask_overlap(std::span<const float> got, std::span<const float> reference,
                         float threshold = 0);

}  // namespace tenon::metrics
