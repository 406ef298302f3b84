#pragma once

#include "ops/implementation.h"

namespace tenon::cuda {

extern const ops::Implementation kCast;
extern const ops::Implementation kRmsNorm;
extern const ops::Implementation kLayerNorm;
extern const ops::Implementation kGlu;
extern const ops::Implementation kUnary;
extern const ops::Implementation kFused;
extern const ops::Implementation kFusedSteps;
extern const ops::Implementation kBinary;
extern const ops::Implementation kEmbedding;
extern const ops::Implementation kGatherRows;
extern const ops::Implementation kRope;
extern const ops::Implementation kKvAppend;
extern const ops::Implementation kRopeKvAppend;
extern const ops::Implementation kSlice;
extern const ops::Implementation kSample;
extern const ops::Implementation kLinearGemv;
extern const ops::Implementation kLinearCublasLt;
extern const ops::Implementation kLinearSimple;
extern const ops::Implementation kPagedAttention;
extern const ops::Implementation kPagedAttentionSimple;
extern const ops::Implementation kAttention;
extern const ops::Implementation kAttentionFewWide;
extern const ops::Implementation kAttentionFlash;
extern const ops::Implementation kAttentionGrid;
extern const ops::Implementation kAttentionWindow;
extern const ops::Implementation kAttentionFewKeys;
extern const ops::Implementation kAttentionFewQueries;
extern const ops::Implementation kMatmulFewRows;
extern const ops::Implementation kConvGemm;
extern const ops::Implementation kConcat;
extern const ops::Implementation kConv;
extern const ops::Implementation kFourierFeatures;
extern const ops::Implementation kImagePrep;
extern const ops::Implementation kMaskPost;
extern const ops::Implementation kMatmul;
extern const ops::Implementation kPad;
extern const ops::Implementation kReshape;
extern const ops::Implementation kResize;
extern const ops::Implementation kTranspose;

// Kernels for NVIDIA GPUs, best first.
ops::ImplementationList implementations();

}  // namespace tenon::cuda
