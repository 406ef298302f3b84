#include "backends/reference/impl_list.h"

namespace tenon::reference {

ops::ImplementationList implementations() {
#define TENON_OP(Op) &k##Op,
  static constexpr const ops::Implementation* kList[] = {TENON_OPS(TENON_OP)};
#undef TENON_OP
  return kList;
}

}  // namespace tenon::reference
