#pragma once

#include <optional>
#include <string>
#include <vector>

#include "data/json.h"
#include "metrics/rouge_aggregate.h"
#include "prove/summarize.h"

namespace tenon::prove {

struct RougeOptions {
  bool stem = false;
  uint32_t seed = 0;                      // of the bootstrap
  double max_drop = 1.0;                  // ROUGE-1 points below the original's
  std::optional<double> min_rouge1 = {};  // the protocol's own assertion: ROUGE-1 must exceed it
};

// ROUGE in points of 100, the bootstrap's `mid` as the protocol prints it.
struct RougeEval {
  metrics::RougeSummary gold;                      // the plan's texts against the gold summaries
  std::optional<metrics::RougeSummary> original;   // the original's texts against the gold
  std::optional<metrics::RougeSummary> agreement;  // the plan's texts against the original's
  int64_t identical = 0;                           // texts equal to the original's
  std::vector<std::string> failures;               // one line a broken budget
};

// `original` holds the original's text for each article, or is empty.
RougeEval evaluate_rouge(const std::vector<Article>& articles,
                         const std::vector<std::string>& texts,
                         const std::vector<std::string>& original, const RougeOptions& options);

// "rouge1", "rouge2", "rougeL", "rougeLsum": {"mid", "low", "high", "mean"}, f-measures in points.
data::Json to_json(const metrics::RougeSummary& summary);
data::Json to_json(const RougeEval& eval);

}  // namespace tenon::prove
