#pragma once

#include <cstdint>
#include <span>

namespace tenon::metrics {

// How far a tensor is from its reference. Relative error of an element is |got - ref| divided by
// (|ref| + 1e-6 * reference_rms): the second term keeps elements that are zero by chance from
// dominating, and scales with the tensor.
struct ErrorStats {
  double max_abs = 0, mean_abs = 0, median_abs = 0, p99_abs = 0;
  double max_rel = 0, mean_rel = 0, median_rel = 0, p99_rel = 0;
  double reference_rms = 0;
  double relative_norm = 0;  // |got - ref| / |ref|, 2-norms; 0 where both are zero
  int64_t count = 0;
  int64_t nonfinite = 0;     // elements where one side is NaN or infinite and the other differs
  int64_t worst_index = -1;  // of the largest absolute error, the first such; -1 where count is 0
};

// Sums in double. NaN against NaN and an infinity against the same infinity agree; any other
// non-finite element counts as `nonfinite` with an infinite error. Throws ErrorCode::BadInput where
// the sizes differ.
ErrorStats compare(std::span<const float> got, std::span<const float> reference);

}  // namespace tenon::metrics
