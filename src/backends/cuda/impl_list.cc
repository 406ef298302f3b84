#include "backends/cuda/impl_list.h"

namespace tenon::cuda {

ops::ImplementationList implementations() {
  static constexpr const ops::Implementation* kList[] = {
      &kCast,
  };
  return kList;
}

}  // namespace tenon::cuda
