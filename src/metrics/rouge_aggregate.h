#pragma once

#include <cstdint>
#include <span>

#include "metrics/rouge.h"

namespace tenon::metrics {

struct BootstrapOptions {
  int64_t samples = 1000;
  double confidence = 0.95;
  uint32_t seed = 0;  // of NumPy's legacy generator
};

// Bounds of the mean over texts: percentiles of the means of resampled texts. `mid` is their
// median, which is what evaluation scripts print.
struct RougeBounds {
  RougeScore low, mid, high;
};
struct RougeSummary {
  RougeScores mean;  // plain, over the texts
  RougeBounds rouge1, rouge2, rouge_l, rouge_l_sum;
};

// rouge_score's BootstrapAggregator, to the same draws: MT19937 and masked rejection as
// numpy.random.seed(seed) and numpy.random.choice give them, one score after the other in the order
// of the fields. Zeros where there is no text.
RougeSummary summarize_rouge(std::span<const RougeScores> texts,
                             const BootstrapOptions& options = {});

}  // namespace tenon::metrics
