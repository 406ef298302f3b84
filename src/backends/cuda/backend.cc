#include "backends/cuda/cuda_device.h"
#include "backends/cuda/impl_list.h"
#include "ops/backend_library.h"

extern "C" __attribute__((visibility("default"))) const tenon::ops::BackendLibrary*
tenon_backend_library() {
  static constexpr tenon::ops::BackendLibrary kLibrary = {
      .version = 1,
      .name = "cuda",
      .device_count = tenon::cuda::device_count,
      .open_device = tenon::cuda::open_device,
      .implementations = tenon::cuda::implementations};
  return &kLibrary;
}
