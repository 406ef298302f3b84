#pragma once

#include "ops/implementation.h"

namespace tenon::reference {

extern const ops::Implementation kBinary;
extern const ops::Implementation kCast;
extern const ops::Implementation kEmbedding;
extern const ops::Implementation kGatherRows;
extern const ops::Implementation kGlu;
extern const ops::Implementation kKvAppend;
extern const ops::Implementation kLayerNorm;
extern const ops::Implementation kLinear;
extern const ops::Implementation kPagedAttention;
extern const ops::Implementation kRmsNorm;
extern const ops::Implementation kRope;
extern const ops::Implementation kRopeKvAppend;
extern const ops::Implementation kSample;
extern const ops::Implementation kSlice;
extern const ops::Implementation kUnary;

// One for every op of the catalogue, in its order. Scalar, one thread, sums in double: the oracle's
// oracle, and the fallback of every device.
ops::ImplementationList implementations();

}  // namespace tenon::reference
