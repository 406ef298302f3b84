#pragma once

#include <string>

#include "data/json.h"

namespace tenon::cli {

// The values of a plan with a type of their own (Plan::precision "types"), one group a type and
// reason: "f16: cache.0 and 31 more (proven to fit f16 by the weights)". Empty where there are
// none.
std::string describe_types(const data::Json& types);

}  // namespace tenon::cli
