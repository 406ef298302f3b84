#pragma once

#include <span>
#include <vector>

#include "imaging/mask.h"

namespace tenon::sam {

// Greedy suppression: indices of the boxes kept, best score first, equal scores in their order. A
// box falls where its IoU with a kept one is above the threshold; sides are x1 - x0, so a box of
// one pixel has no area. As torchvision.ops.batched_nms with one class.
std::vector<size_t> suppress(std::span<const imaging::Box> boxes, std::span<const float> scores,
                             double threshold);

}  // namespace tenon::sam
