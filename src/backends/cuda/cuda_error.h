#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <string_view>

#include "base/error.h"

namespace tenon::cuda {

// The Error a failed CUDA call stands for: OutOfMemory with the free bytes, else DeviceFault.
// `what` names the call; `wanted` is the size of an allocation.
Error error_of(cudaError_t status, std::string_view what, int64_t wanted = 0);

// Every CUDA call goes through this. Throws error_of().
inline void check(cudaError_t status, std::string_view what) {
  if (status != cudaSuccess) throw error_of(status, what);
}

}  // namespace tenon::cuda
