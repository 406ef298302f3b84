#pragma once

#include <cstdint>
#include <vector>

#include "base/progress.h"
#include "data/json.h"
#include "metrics/kl_divergence.h"
#include "prove/perplexity_eval.h"

namespace tenon::prove {

struct KldTask {
  std::vector<std::vector<int32_t>> texts;
  int64_t window = 512;      // positions of one pass; windows do not overlap, a rest counts too
  int64_t most_windows = 0;  // 0: all
};

// The plan's distribution of the next token against the reference's, at every position.
struct KldEval {
  metrics::KldStats kld;
  int64_t windows = 0;
  // Of the token that the text goes on with, where there is one.
  int64_t tokens = 0;
  double perplexity = 0, reference_perplexity = 0;
  double mean_probability_change = 0, rms_probability_change = 0;  // of that token
};

// Both see the same windows. The reference's logits of one window are held in memory. Throws
// ErrorCode::BadInput where there is no text.
KldEval evaluate_kld(const KldTask& task, const ForcedLogits& plan, const ForcedLogits& reference,
                     Progress& progress);

data::Json to_json(const KldTask& task, const KldEval& eval);

}  // namespace tenon::prove
