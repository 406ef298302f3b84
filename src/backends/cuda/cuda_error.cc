#include "backends/cuda/cuda_error.h"

#include <string>

#include "base/text.h"

namespace tenon::cuda {

Error error_of(cudaError_t status, std::string_view what, int64_t wanted) {
  // The error is reported here: left as the thread's last error it would be blamed on a later call.
  cudaGetLastError();
  if (status == cudaErrorMemoryAllocation) {
    size_t free = 0, total = 0;
    if (cudaMemGetInfo(&free, &total) != cudaSuccess) cudaGetLastError();
    std::string got = format_bytes(free) + " free of " + format_bytes(total);
    if (wanted > 0) got = format_bytes(wanted) + " wanted, " + got;
    return Error(ErrorCode::OutOfMemory, "the GPU has not enough memory").at(what).got(got);
  }
  std::string got = std::string(cudaGetErrorName(status)) + ": " + cudaGetErrorString(status);
  return Error(ErrorCode::DeviceFault, "CUDA call failed").at(what).got(got);
}

}  // namespace tenon::cuda
