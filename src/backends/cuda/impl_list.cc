#include "backends/cuda/impl_list.h"

namespace tenon::cuda {

ops::ImplementationList implementations() {
  static constexpr const ops::Implementation* kList[] = {
      // One line an entry.
      // clang-format off
      &kCast,
      &kRmsNorm,
      &kLayerNorm,
      &kGlu,
      &kUnary,
      &kBinary,
      &kFused,
      &kFusedSteps,
      &kEmbedding,
      &kGatherRows,
      &kRope,
      &kKvAppend,
      &kRopeKvAppend,
      &kSlice,
      &kSample,
      &kLinearGemv,
      &kLinearCublasLt,
      &kLinearSimple,
      &kPagedAttention,
      &kPagedAttentionSimple,
      &kAttentionWindow,
      &kAttentionFewQueries,
      &kAttentionFewKeys,
      &kAttentionFewWide,
      &kAttentionGrid,
      &kAttentionFlash,
      &kAttention,
      &kConcat,
      &kConvGemm,
      &kConv,
      &kFourierFeatures,
      &kImagePrep,
      &kMaskPost,
      &kMatmulFewRows,
      &kMatmul,
      &kPad,
      &kReshape,
      &kResize,
      &kTranspose,
      // clang-format on
  };
  return kList;
}

}  // namespace tenon::cuda
