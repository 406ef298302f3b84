#pragma once

#include <cstdint>
#include <vector>

#include "imaging/mask.h"

namespace tenon::imaging {

// Connected regions of a mask; pixels that touch at a corner are connected.
struct Components {
  std::vector<int32_t> labels;  // [height, width]; 0: not in the mask, else 1 + index of `sizes`
  std::vector<int64_t> sizes;   // pixels of each, in the order of their first pixel
};
Components find_components(const Mask& mask);

// Regions of fewer pixels than `least` are filled (holes) or removed (islands); where every island
// is that small the largest stays. As segment_anything's remove_small_regions. Returns whether
// anything changed.
enum class SmallRegions { Holes, Islands };
bool remove_small_regions(Mask& mask, int64_t least, SmallRegions kind);

}  // namespace tenon::imaging
