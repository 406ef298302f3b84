#pragma once

#include "data/json.h"
#include "ops/attributes.h"

namespace tenon::plan {

// Attributes as [["eps", "f64", 1e-06], ["axes", "i64s", [0, 1]]]: the kind is written out, so that
// 1 and 1.0 and an empty list of either stay what they were. Infinite and NaN doubles are text.
data::Json attributes_to_json(const ops::Attributes& attributes);
ops::Attributes attributes_from_json(const data::Json& json);

}  // namespace tenon::plan
