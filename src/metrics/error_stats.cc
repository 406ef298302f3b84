#include "metrics/error_stats.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/error.h"
#include "metrics/quantile.h"

namespace tenon::metrics {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Squares of the finite elements of the reference.
double sum_of_squares(std::span<const float> values) {
  double sum = 0;
  for (float value : values) {
    if (std::isfinite(value)) sum += static_cast<double>(value) * value;
  }
  return sum;
}

double absolute_error(float got, float reference) {
  if (std::isnan(got) && std::isnan(reference)) return 0;
  if (got == reference) return 0;
  if (!std::isfinite(got) || !std::isfinite(reference)) return kInfinity;
  return std::abs(static_cast<double>(got) - reference);
}

double relative_error(double absolute, float reference, double floor) {
  if (absolute == 0) return 0;
  if (std::isinf(absolute)) return kInfinity;
  return absolute / (std::abs(static_cast<double>(reference)) + floor);
}

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

}  // namespace

ErrorStats compare(std::span<const float> got, std::span<const float> reference) {
  if (got.size() != reference.size()) {
    throw Error(ErrorCode::BadInput, "tensors to compare differ in size")
        .got(std::to_string(got.size()))
        .accepted(std::to_string(reference.size()));
  }
  ErrorStats stats;
  stats.count = static_cast<int64_t>(got.size());
  if (got.empty()) return stats;

  double reference_squares = sum_of_squares(reference), error_squares = 0;
  stats.reference_rms = std::sqrt(reference_squares / static_cast<double>(reference.size()));
  // With an all-zero reference any error is infinitely wrong, not a division by zero.
  double floor = stats.reference_rms > 0 ? 1e-6 * stats.reference_rms : 0;
  std::vector<double> absolute(got.size()), relative(got.size());
  for (size_t i = 0; i < got.size(); ++i) {
    absolute[i] = absolute_error(got[i], reference[i]);
    relative[i] = relative_error(absolute[i], reference[i], floor);
    error_squares += absolute[i] * absolute[i];
    if (std::isinf(absolute[i])) ++stats.nonfinite;
    if (stats.worst_index < 0 || absolute[i] > stats.max_abs) {
      stats.max_abs = absolute[i];
      stats.worst_index = static_cast<int64_t>(i);
    }
    stats.max_rel = std::max(stats.max_rel, relative[i]);
  }
  if (error_squares > 0) stats.relative_norm = std::sqrt(error_squares / reference_squares);
  stats.mean_abs = mean_of(absolute);
  stats.mean_rel = mean_of(relative);
  stats.median_abs = quantile(absolute, 0.5);
  stats.p99_abs = quantile(absolute, 0.99);
  stats.median_rel = quantile(relative, 0.5);
  stats.p99_rel = quantile(relative, 0.99);
  return stats;
}

}  // namespace tenon::metrics
