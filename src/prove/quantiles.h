#pragma once

#include <vector>

#include "data/json.h"

namespace tenon::prove {

// Of measured times, in seconds; nearest rank, so each is a time that was measured.
struct Quantiles {
  int64_t count = 0;
  double mean = 0, p50 = 0, p90 = 0, p99 = 0, least = 0, most = 0;
};
Quantiles quantiles_of(std::vector<double> seconds);

data::Json to_json(const Quantiles& quantiles);  // {"count", "mean", "p50", ...}

}  // namespace tenon::prove
