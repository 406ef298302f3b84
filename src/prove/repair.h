#pragma once

#include <string>
#include <vector>

#include "data/json.h"
#include "plan/plan.h"
#include "prove/tensor_compare.h"

namespace tenon::prove {

// One step to compute in a wider type, by the name that `build --repair` looks for: the weight of a
// linear, the cache of an attention, else the value that the step writes.
struct RepairStep {
  std::string name, module;
  DType from = DType::F32, to = DType::F32;
  std::string reason;
};

struct Repair {
  std::vector<RepairStep> steps;  // empty: nothing to raise
  std::string note;               // why there is nothing, or what the estimate rests on
};

// The smallest set of steps that is estimated to bring the error below its budget.
// `wanted_share`: of the plan's squared error that may remain (budget over measured KL divergence);
// 1 and above asks for nothing. Steps that are not finite come first and get bf16, whose range is
// f32's; quantised weights the plan's own type, the others f32, largest own error first, until the
// sum of the squared own errors of what is left is below the share. An estimate: the build's gate
// decides.
Repair suggest_repair(const plan::Stage& stage, const TensorComparison& comparison, DType precision,
                      double wanted_share);

// {"types": [{"name", "dtype", "reason"}]}: the file that `tenon build --repair` reads.
data::Json to_json(const Repair& repair);

}  // namespace tenon::prove
