#pragma once

#include <cuda_runtime_api.h>

namespace tenon::cuda {

// Queues: *to = value, on the device.
void set_number(float* to, float value, cudaStream_t stream);

}  // namespace tenon::cuda
