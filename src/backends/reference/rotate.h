#pragma once

#include <cmath>
#include <vector>

#include "backends/reference/access.h"

namespace tenon::reference {

// Rotates the pairs of one head in place, as ops/rope.h says. `head` starts at `first` of `values`.
inline void rotate_head(std::vector<double>& values, int64_t first, int64_t position,
                        const TensorView& inv_freq, bool interleaved, double scale) {
  int64_t pairs = inv_freq.extents[0];
  for (int64_t j = 0; j < pairs; ++j) {
    double angle = static_cast<double>(position) * load(inv_freq, j * inv_freq.strides[0]);
    double& left = values[first + (interleaved ? 2 * j : j)];
    double& right = values[first + (interleaved ? 2 * j + 1 : j + pairs)];
    double a = left, b = right;
    left = (a * std::cos(angle) - b * std::sin(angle)) * scale;
    right = (b * std::cos(angle) + a * std::sin(angle)) * scale;
  }
}

}  // namespace tenon::reference
