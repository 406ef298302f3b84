#pragma once

#include "plan/plan.h"

namespace tenon::plan {

// Verifies the whole structure of a plan whose weights section has `weights_bytes` bytes, so that
// no later code needs to doubt an index, a range or a name. Throws ErrorCode::BadInput naming the
// stage and the step, value or constant.
void verify(const Plan& plan, int64_t weights_bytes);

// One stage: indices, types, symbols, that every value is written exactly once before it is read,
// and that lifetimes cover the reads.
void verify_stage(const Plan& plan, const Stage& stage);

}  // namespace tenon::plan
