#include "backends/cuda/cuda_device.h"
#include "backends/cuda/impl_list.h"
#include "backends/cuda/libraries.h"
#include "ops/backend_library.h"

extern "C" __attribute__((visibility("default"))) const tenon::ops::BackendLibrary*
tenon_backend_library() {
  static constexpr tenon::ops::BackendLibrary kLibrary = {
      .name = "cuda",
      .survey = tenon::cuda::survey,
      .libraries = tenon::cuda::libraries,
      .open_device = tenon::cuda::open_device,
      .implementations = tenon::cuda::implementations};
  return &kLibrary;
}
