#pragma once

#include "ops/op.h"

// Every built-in op, one line each: its attribute struct. The reference back end implements k<Op>.
#define TENON_OPS(X) \
  X(Attention)       \
  X(Binary)          \
  X(Cast)            \
  X(Concat)          \
  X(Conv)            \
  X(Embedding)       \
  X(FourierFeatures) \
  X(Fused)           \
  X(GatherRows)      \
  X(Glu)             \
  X(ImagePrep)       \
  X(KvAppend)        \
  X(LayerNorm)       \
  X(Linear)          \
  X(MaskPost)        \
  X(Matmul)          \
  X(Pad)             \
  X(PagedAttention)  \
  X(QuantisedLinear) \
  X(Reshape)         \
  X(Resize)          \
  X(RmsNorm)         \
  X(Rope)            \
  X(RopeKvAppend)    \
  X(Sample)          \
  X(Slice)           \
  X(Transpose)       \
  X(Unary)

namespace tenon::ops {

// Every built-in op, in the order of the list.
const Catalogue& builtin_catalogue();

}  // namespace tenon::ops
