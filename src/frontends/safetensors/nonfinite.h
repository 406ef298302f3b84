#pragma once

#include <string>
#include <vector>

#include "tensor/weight_source.h"

namespace tenon::frontends {

// A float tensor that holds NaN or infinities.
struct NonFiniteWeight {
  std::string name;
  int64_t nans = 0, infinities = 0;
  int64_t first = 0;  // flat index of the first of them
};

// Reads every float weight once (`--check-finite`). In the order of the source.
std::vector<NonFiniteWeight> find_nonfinite(const WeightSource& source);

}  // namespace tenon::frontends
