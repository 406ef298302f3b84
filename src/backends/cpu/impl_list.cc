#include "backends/cpu/impl_list.h"

namespace tenon::cpu {

#if defined(__x86_64__)
ops::ImplementationList implementations() {
  static constexpr const ops::Implementation* kList[] = {
      &kLinearBf16Avx512, &kLinearAvx512,         &kLinearAvx2,
      &kRmsNormAvx512,    &kRmsNormAvx2,          &kLayerNormAvx512,
      &kLayerNormAvx2,    &kPagedAttentionAvx512, &kPagedAttentionAvx2,
  };
  return kList;
}
#else
ops::ImplementationList implementations() {
  return {};
}
#endif

}  // namespace tenon::cpu
