#pragma once

#include "ops/implementation.h"

// Every SIMD kernel, one line each; of one op the best first.
#define TENON_CPU_IMPLEMENTATIONS(X) \
  X(kLinearBf16Amx)                  \
  X(kLinearBf16Avx512)               \
  X(kLinearAvx512)                   \
  X(kLinearAvx2)                     \
  X(kQuantisedLinearInt8Amx)         \
  X(kQuantisedLinearInt8Vnni)        \
  X(kQuantisedLinearInt8Avx2)        \
  X(kQuantisedLinearCodes4Avx512)    \
  X(kQuantisedLinearCodes4Avx2)      \
  X(kRmsNormAvx512)                  \
  X(kRmsNormAvx2)                    \
  X(kLayerNormAvx512)                \
  X(kLayerNormAvx2)                  \
  X(kGluAvx512)                      \
  X(kGluAvx2)                        \
  X(kUnaryAvx512)                    \
  X(kUnaryAvx2)                      \
  X(kBinaryAvx512)                   \
  X(kBinaryAvx2)                     \
  X(kCastAvx512)                     \
  X(kCastAvx2)                       \
  X(kFusedAvx512)                    \
  X(kFusedAvx2)                      \
  X(kEmbeddingAvx512)                \
  X(kEmbeddingAvx2)                  \
  X(kGatherRows)                     \
  X(kRopeAvx512)                     \
  X(kRopeAvx2)                       \
  X(kKvAppendAvx512)                 \
  X(kKvAppendAvx2)                   \
  X(kRopeKvAppendAvx512)             \
  X(kRopeKvAppendAvx2)               \
  X(kAttentionAvx512)                \
  X(kAttentionAvx2)                  \
  X(kConvAvx512)                     \
  X(kConvAvx2)                       \
  X(kMatmulAvx512)                   \
  X(kMatmulAvx2)                     \
  X(kReshape)                        \
  X(kTranspose)                      \
  X(kConcat)                         \
  X(kPad)                            \
  X(kPagedAttentionAvx512)           \
  X(kPagedAttentionAvx2)             \
  X(kSampleAvx512)                   \
  X(kSampleAvx2)                     \
  X(kSlice)

namespace tenon::cpu {

#define TENON_CPU_IMPLEMENTATION(name) extern const ops::Implementation name;
TENON_CPU_IMPLEMENTATIONS(TENON_CPU_IMPLEMENTATION)
#undef TENON_CPU_IMPLEMENTATION

// SIMD kernels, best first. Empty on other CPUs than x86-64.
ops::ImplementationList implementations();

}  // namespace tenon::cpu
