#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

namespace tenon::metrics {

// log(sum(exp(logits))) in double. NaN where a logit is NaN or +inf; -inf logits weigh nothing.
inline double log_sum_exp(std::span<const float> logits) {
  double highest = -std::numeric_limits<double>::infinity();
  for (float logit : logits) {
    if (std::isnan(logit)) return std::numeric_limits<double>::quiet_NaN();
    highest = std::max(highest, static_cast<double>(logit));
  }
  if (std::isinf(highest)) return std::numeric_limits<double>::quiet_NaN();
  double sum = 0;
  for (float logit : logits) sum += std::exp(logit - highest);
  return highest + std::log(sum);
}

}  // namespace tenon::metrics
