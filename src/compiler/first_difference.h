#pragma once

#include <string>
#include <vector>

#include "compiler/check_data.h"
#include "runtime/session.h"

namespace tenon::compiler {

// One tensor that both runs have under the same first name.
struct TensorDifference {
  std::string name;
  double relative_norm = 0;  // |got - reference| / |reference|
  int64_t nonfinite = 0;
};

struct Differences {
  std::vector<TensorDifference> tensors;  // in the order of the plan's steps
  int first_bad = -1;                     // index, or -1 where none stands out
};

// Runs the first sequence of the data through both and compares tensor by tensor, each step working
// on the oracle's values. The first bad one is not finite, or stands out from the others' rounding.
Differences find_first_difference(runtime::Session& plan, runtime::Session& oracle,
                                  const CheckData& data, DType precision);
// Against golden intermediate tensors ("layer/<module path>") of the original implementation.
Differences find_first_golden_difference(runtime::Session& plan, const CheckData& data,
                                         DType precision);

}  // namespace tenon::compiler
