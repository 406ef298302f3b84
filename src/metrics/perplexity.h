#pragma once

#include <cstdint>
#include <span>

namespace tenon::metrics {

struct PerplexityStats {
  int64_t rows = 0;
  double mean_negative_log_likelihood = 0;  // nats for each target
  double perplexity = 0;                    // exp of the mean; infinite where nothing was added
  double bits_per_token = 0;
};

// -log softmax(logits)[target] in nats. Infinite where a logit is NaN or +inf. Throws
// ErrorCode::BadInput where the target is not in the row.
double negative_log_likelihood(std::span<const float> logits, int64_t target);

class PerplexityAccumulator {
 public:
  void add_row(std::span<const float> logits, int64_t target);  // [vocabulary]
  PerplexityStats finish() const;

 private:
  double sum_ = 0;
  int64_t rows_ = 0;
};

}  // namespace tenon::metrics
