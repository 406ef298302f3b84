#pragma once

#include "ops/implementation.h"

namespace tenon::cpu {

extern const ops::Implementation kLinearBf16Avx512;
extern const ops::Implementation kLinearAvx512;
extern const ops::Implementation kLinearAvx2;
extern const ops::Implementation kRmsNormAvx512;
extern const ops::Implementation kRmsNormAvx2;
extern const ops::Implementation kLayerNormAvx512;
extern const ops::Implementation kLayerNormAvx2;
extern const ops::Implementation kGluAvx512;
extern const ops::Implementation kGluAvx2;
extern const ops::Implementation kUnaryAvx512;
extern const ops::Implementation kUnaryAvx2;
extern const ops::Implementation kBinaryAvx512;
extern const ops::Implementation kBinaryAvx2;
extern const ops::Implementation kCastAvx512;
extern const ops::Implementation kCastAvx2;
extern const ops::Implementation kEmbeddingAvx512;
extern const ops::Implementation kEmbeddingAvx2;
extern const ops::Implementation kGatherRows;
extern const ops::Implementation kRopeAvx512;
extern const ops::Implementation kRopeAvx2;
extern const ops::Implementation kKvAppendAvx512;
extern const ops::Implementation kKvAppendAvx2;
extern const ops::Implementation kRopeKvAppendAvx512;
extern const ops::Implementation kRopeKvAppendAvx2;
extern const ops::Implementation kPagedAttentionAvx512;
extern const ops::Implementation kPagedAttentionAvx2;
extern const ops::Implementation kSampleAvx512;
extern const ops::Implementation kSampleAvx2;
extern const ops::Implementation kSlice;

// SIMD kernels, best first. Empty on other CPUs than x86-64.
ops::ImplementationList implementations();

}  // namespace tenon::cpu
