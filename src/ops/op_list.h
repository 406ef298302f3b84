#pragma once

#include "ops/op.h"

namespace tenon::ops {

// Every built-in op, in the order of `op_list.cc`.
const Catalogue& builtin_catalogue();

}  // namespace tenon::ops
