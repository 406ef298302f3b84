#include "backends/reference/impl_list.h"

namespace tenon::reference {

ops::ImplementationList implementations() {
  static constexpr const ops::Implementation* kList[] = {
      &kBinary,   &kCast,         &kEmbedding, &kGatherRows,     &kGlu,
      &kKvAppend, &kLayerNorm,    &kLinear,    &kPagedAttention, &kRmsNorm,
      &kRope,     &kRopeKvAppend, &kSample,    &kSlice,          &kUnary,
  };
  return kList;
}

}  // namespace tenon::reference
