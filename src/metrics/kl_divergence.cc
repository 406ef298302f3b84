#include "metrics/kl_divergence.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>

#include "base/error.h"
#include "metrics/log_sum_exp.h"
#include "metrics/quantile.h"

namespace tenon::metrics {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kDecidedMargin = 0.01;

// Nothing where a side is no distribution: a NaN or +inf is in it.
std::optional<double> divergence(std::span<const float> got, std::span<const float> reference) {
  double got_log_sum = log_sum_exp(got), reference_log_sum = log_sum_exp(reference);
  if (std::isnan(got_log_sum) || std::isnan(reference_log_sum)) return std::nullopt;
  double sum = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    double log_p = reference[i] - reference_log_sum;
    double p = std::exp(log_p);
    // 0 * log 0 is 0, also where got holds -inf there.
    if (p > 0) sum += p * (log_p - (got[i] - got_log_sum));
  }
  // Equal distributions may sum to a rounding error below zero.
  return std::max(sum, 0.0);
}

struct RowFacts {
  double squares = 0;  // of the finite logits
  int64_t finite = 0;
  double margin = 0;  // the highest logit minus the second highest
};

RowFacts facts_of(std::span<const float> logits) {
  RowFacts facts;
  double first = -kInfinity, second = -kInfinity;
  for (float logit : logits) {
    if (std::isfinite(logit)) {
      facts.squares += static_cast<double>(logit) * logit;
      ++facts.finite;
    }
    second = std::max(second, std::min<double>(first, logit));
    first = std::max<double>(first, logit);
  }
  facts.margin = first - second;
  return facts;
}

size_t top_of(std::span<const float> logits) {
  return std::max_element(logits.begin(), logits.end()) - logits.begin();
}

}  // namespace

void KldAccumulator::add_row(std::span<const float> got_logits,
                             std::span<const float> reference_logits) {
  if (got_logits.size() != reference_logits.size() || got_logits.empty()) {
    throw Error(ErrorCode::BadInput, "rows of logits to compare differ in size or are empty")
        .got(std::to_string(got_logits.size()))
        .accepted(std::to_string(reference_logits.size()));
  }
  RowFacts facts = facts_of(reference_logits);
  squares_ += facts.squares;
  logits_ += facts.finite;
  std::optional<double> row = divergence(got_logits, reference_logits);
  divergences_.push_back(row.value_or(kInfinity));
  double row_rms = facts.finite ? std::sqrt(facts.squares / static_cast<double>(facts.finite)) : 0;
  bool same = row && top_of(got_logits) == top_of(reference_logits);
  if (same) ++agreed_of_all_;
  if (!row || (facts.margin > 0 && facts.margin >= kDecidedMargin * row_rms)) {
    ++decided_;
    if (same) ++agreed_;
  }
}

KldStats KldAccumulator::finish() const {
  KldStats stats;
  stats.rows = static_cast<int64_t>(divergences_.size());
  stats.decided_rows = decided_;
  if (divergences_.empty()) {
    stats.mean = stats.median = stats.p90 = stats.p95 = stats.p99 = stats.max = kInfinity;
    return stats;
  }
  for (double value : divergences_) stats.mean += value;
  stats.mean /= static_cast<double>(stats.rows);
  std::vector<double> ordered = divergences_;
  stats.median = quantile(ordered, 0.5);
  stats.p90 = quantile(ordered, 0.90);
  stats.p95 = quantile(ordered, 0.95);
  stats.p99 = quantile(ordered, 0.99);
  stats.max = quantile(ordered, 1.0);
  stats.same_top_all = static_cast<double>(agreed_of_all_) / static_cast<double>(stats.rows);
  stats.same_top = decided_ ? static_cast<double>(agreed_) / static_cast<double>(decided_) : 1.0;
  if (logits_) stats.reference_rms = std::sqrt(squares_ / static_cast<double>(logits_));
  return stats;
}

}  // namespace tenon::metrics
