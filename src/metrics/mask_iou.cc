#include "metrics/mask_iou.h"

#include <string>

#include "base/error.h"

namespace tenon::metrics {

MaskOverlap mask_overlap(std::span<const float> got, std::span<const float> reference,
                         float threshold) {
  if (got.size() != reference.size()) {
    throw Error(ErrorCode::BadInput, "masks differ in size")
        .got(std::to_string(got.size()))
        .accepted(std::to_string(reference.size()));
  }
  MaskOverlap overlap;
  for (size_t i = 0; i < got.size(); ++i) {
    bool a = got[i] > threshold, b = reference[i] > threshold;
    overlap.both += a && b;
    overlap.either += a || b;
  }
  return overlap;
}

}  // namespace tenon::metrics
