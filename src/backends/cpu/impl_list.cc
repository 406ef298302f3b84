#include "backends/cpu/impl_list.h"

namespace tenon::cpu {

#if defined(__x86_64__)
ops::ImplementationList implementations() {
  static constexpr const ops::Implementation* kList[] = {
      &kLinearBf16Avx512,
      &kLinearAvx512,
      &kLinearAvx2,
      &kRmsNormAvx512,
      &kRmsNormAvx2,
      &kLayerNormAvx512,
      &kLayerNormAvx2,
      &kGluAvx512,
      &kGluAvx2,
      &kUnaryAvx512,
      &kUnaryAvx2,
      &kBinaryAvx512,
      &kBinaryAvx2,
      &kCastAvx512,
      &kCastAvx2,
      &kEmbeddingAvx512,
      &kEmbeddingAvx2,
      &kGatherRows,
      &kRopeAvx512,
      &kRopeAvx2,
      &kKvAppendAvx512,
      &kKvAppendAvx2,
      &kRopeKvAppendAvx512,
      &kRopeKvAppendAvx2,
      &kPagedAttentionAvx512,
      &kPagedAttentionAvx2,
      &kSampleAvx512,
      &kSampleAvx2,
      &kSlice,
  };
  return kList;
}
#else
ops::ImplementationList implementations() {
  return {};
}
#endif

}  // namespace tenon::cpu
