#pragma once

#include "backends/cpu/isa.h"
#include "ops/implementation.h"

// Every SIMD kernel, one line each; of one op the best first. TENON_CPU_EACH(X, Op) stands for the
// implementations that TENON_CPU_EACH_ISA (kernels/tables.h) defines.
#if defined(__x86_64__)
#define TENON_CPU_EACH(X, Op) X(k##Op##Avx512) X(k##Op##Avx2)
#define TENON_CPU_PRODUCTS(X)     \
  X(kLinearBf16Amx)               \
  X(kLinearBf16Avx512)            \
  X(kLinearAvx512)                \
  X(kLinearAvx2)                  \
  X(kQuantisedLinearInt8Amx)      \
  X(kQuantisedLinearInt8Vnni)     \
  X(kQuantisedLinearInt8Avx2)     \
  X(kQuantisedLinearCodes4Avx512) \
  X(kQuantisedLinearCodes4Avx2)   \
  X(kAttentionBf16Amx)            \
  X(kPagedAttentionAmx)           \
  X(kConvBf16Amx)                 \
  X(kMatmulBf16Amx)
#elif defined(__aarch64__)
#define TENON_CPU_EACH(X, Op) X(k##Op##Neon)
#define TENON_CPU_PRODUCTS(X)    \
  X(kLinearNeon)                 \
  X(kQuantisedLinearInt8I8mm)    \
  X(kQuantisedLinearInt8Dotprod) \
  X(kQuantisedLinearInt8Neon)    \
  X(kQuantisedLinearCodes4Neon)
#endif
#define TENON_CPU_IMPLEMENTATIONS(X) \
  TENON_CPU_PRODUCTS(X)              \
  TENON_CPU_EACH(X, RmsNorm)         \
  TENON_CPU_EACH(X, LayerNorm)       \
  TENON_CPU_EACH(X, Glu)             \
  TENON_CPU_EACH(X, Unary)           \
  TENON_CPU_EACH(X, Binary)          \
  TENON_CPU_EACH(X, Cast)            \
  TENON_CPU_EACH(X, Fused)           \
  TENON_CPU_EACH(X, Embedding)       \
  X(kGatherRows)                     \
  TENON_CPU_EACH(X, Rope)            \
  TENON_CPU_EACH(X, KvAppend)        \
  TENON_CPU_EACH(X, RopeKvAppend)    \
  TENON_CPU_EACH(X, Attention)       \
  TENON_CPU_EACH(X, Conv)            \
  TENON_CPU_EACH(X, Matmul)          \
  X(kReshape)                        \
  X(kTranspose)                      \
  X(kConcat)                         \
  X(kPad)                            \
  TENON_CPU_EACH(X, PagedAttention)  \
  TENON_CPU_EACH(X, Sample)          \
  X(kSlice)

namespace tenon::cpu {

#if defined(TENON_CPU_SIMD)
#define TENON_CPU_IMPLEMENTATION(name) extern const ops::Implementation name;
TENON_CPU_IMPLEMENTATIONS(TENON_CPU_IMPLEMENTATION)
#undef TENON_CPU_IMPLEMENTATION
#endif

// SIMD kernels, best first. Empty on other CPUs than x86-64 and 64-bit Arm.
ops::ImplementationList implementations();

}  // namespace tenon::cpu
