#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace tenon::metrics {

// The nearest-rank quantile: the smallest value that at least `fraction` of the values do not
// exceed. It is always one of the values, so infinities stay infinities. Reorders `values`, which
// must hold no NaN and not be empty.
inline double quantile(std::vector<double>& values, double fraction) {
  auto rank = static_cast<int64_t>(std::ceil(fraction * static_cast<double>(values.size())));
  auto place = values.begin() + std::max<int64_t>(rank, 1) - 1;
  std::nth_element(values.begin(), place, values.end());
  return *place;
}

}  // namespace tenon::metrics
