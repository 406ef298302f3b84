#include "backends/cpu/impl_list.h"

namespace tenon::cpu {

#if defined(TENON_CPU_SIMD)
ops::ImplementationList implementations() {
#define TENON_CPU_IMPLEMENTATION(name) &name,
  static constexpr const ops::Implementation* kList[] = {
      TENON_CPU_IMPLEMENTATIONS(TENON_CPU_IMPLEMENTATION)};
#undef TENON_CPU_IMPLEMENTATION
  return kList;
}
#else
ops::ImplementationList implementations() {
  return {};
}
#endif

}  // namespace tenon::cpu
