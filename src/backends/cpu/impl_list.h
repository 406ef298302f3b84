#pragma once

#include "ops/implementation.h"

namespace tenon::cpu {

extern const ops::Implementation kLinearBf16Avx512;
extern const ops::Implementation kLinearAvx512;
extern const ops::Implementation kLinearAvx2;
extern const ops::Implementation kLayerNormAvx512;
extern const ops::Implementation kLayerNormAvx2;
extern const ops::Implementation kRmsNormAvx512;
extern const ops::Implementation kRmsNormAvx2;
extern const ops::Implementation kPagedAttentionAvx512;
extern const ops::Implementation kPagedAttentionAvx2;

// SIMD kernels, best first. Empty on other CPUs than x86-64.
ops::ImplementationList implementations();

}  // namespace tenon::cpu
