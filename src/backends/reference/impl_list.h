#pragma once

#include "ops/implementation.h"
#include "ops/op_list.h"

namespace tenon::reference {

#define TENON_OP(Op) extern const ops::Implementation k##Op;
TENON_OPS(TENON_OP)
#undef TENON_OP

// One for every op of the catalogue, in its order. Scalar, one thread, sums in double: the oracle's
// oracle, and the fallback of every device.
ops::ImplementationList implementations();

}  // namespace tenon::reference
