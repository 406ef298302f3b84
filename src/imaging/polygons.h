#pragma once

#include <cstdint>
#include <vector>

#include "imaging/mask.h"

namespace tenon::imaging {

struct Corner {
  int64_t x = 0, y = 0;
  bool operator==(const Corner&) const = default;
};

// A closed outline along the borders between pixels, corner by corner; the mask lies to its right
// in the direction of travel (x to the right, y down), so holes run the other way round.
struct Polygon {
  bool hole = false;
  std::vector<Corner> corners;
};

// Outlines of all regions (pixels that touch only at a corner are apart) and of their holes.
// Filling the outer ones and cutting out the holes gives the mask back exactly.
std::vector<Polygon> outlines(const Mask& mask);

}  // namespace tenon::imaging
