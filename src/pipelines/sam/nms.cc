#include "pipelines/sam/nms.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace tenon::sam {
namespace {

float area(const imaging::Box& box) {
  return static_cast<float>(box.x1 - box.x0) * static_cast<float>(box.y1 - box.y0);
}

// NaN for two boxes without area: they do not suppress each other.
float iou(const imaging::Box& a, const imaging::Box& b) {
  auto width =
      static_cast<float>(std::max<int64_t>(std::min(a.x1, b.x1) - std::max(a.x0, b.x0), 0));
  auto height =
      static_cast<float>(std::max<int64_t>(std::min(a.y1, b.y1) - std::max(a.y0, b.y0), 0));
  float both = width * height;
  return both / (area(a) + area(b) - both);
}

}  // namespace

std::vector<size_t> suppress(std::span<const imaging::Box> boxes, std::span<const float> scores,
                             double threshold) {
  TENON_CHECK(boxes.size() == scores.size());
  std::vector<size_t> order(boxes.size()), kept;
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  for (size_t candidate : order) {
    bool falls = std::any_of(kept.begin(), kept.end(), [&](size_t better) {
      return iou(boxes[better], boxes[candidate]) > threshold;
    });
    if (!falls) kept.push_back(candidate);
  }
  return kept;
}

}  // namespace tenon::sam
