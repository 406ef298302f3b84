#pragma once

#include "compiler/lower.h"
#include "data/json.h"
#include "tensor/weight_source.h"

namespace tenon::compiler {

// What the quantised weights of a plan lost and what they weigh: counts, bytes beside those of the
// checkpoint, and for each weight the norm of its error over its own and the largest error, the
// worst first. Reads every quantised weight once more.
data::Json quantisation_report(const LoweredPlan& lowered, const WeightSource& weights);

}  // namespace tenon::compiler
