#pragma once

#include "frontends/checkpoint.h"

namespace tenon::frontends {

// Base weights plus a published delta (Vicuna v0 and v1.1): an element-wise sum in the delta's
// type. Rows that the delta has beyond the base (tokens that were added) are the delta's alone.
// Source: lm-sys/FastChat fastchat/model/apply_delta.py. Throws ErrorCode::BadInput listing every
// tensor that does not fit.
Checkpoint apply_delta(const Checkpoint& base, const Checkpoint& delta);

}  // namespace tenon::frontends
