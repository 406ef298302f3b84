#include "metrics/perplexity.h"

#include <cmath>
#include <limits>
#include <numbers>
#include <string>

#include "base/error.h"
#include "metrics/log_sum_exp.h"

namespace tenon::metrics {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double negative_log_likelihood(std::span<const float> logits, int64_t target) {
  if (target < 0 || target >= static_cast<int64_t>(logits.size())) {
    throw Error(ErrorCode::BadInput, "target id is outside the vocabulary")
        .got(std::to_string(target))
        .accepted("0 to " + std::to_string(static_cast<int64_t>(logits.size()) - 1));
  }
  double log_sum = log_sum_exp(logits);
  return std::isnan(log_sum) ? kInfinity : log_sum - logits[target];
}

void PerplexityAccumulator::add_row(std::span<const float> logits, int64_t target) {
  sum_ += negative_log_likelihood(logits, target);
  ++rows_;
}

PerplexityStats PerplexityAccumulator::finish() const {
  double mean = rows_ ? sum_ / static_cast<double>(rows_) : kInfinity;
  return {.rows = rows_,
          .mean_negative_log_likelihood = mean,
          .perplexity = std::exp(mean),
          .bits_per_token = mean / std::numbers::ln2};
}

}  // namespace tenon::metrics
