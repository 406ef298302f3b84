#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "tensor/dtype.h"

namespace tenon::bench {

// Fills device memory with `spread` times uniform random numbers of -1 .. 1; f32, f16 or bf16.
cudaError_t fill_random(void* data, DType dtype, int64_t count, uint32_t seed, float spread,
                        cudaStream_t stream);

// Reads all of it, 16 bytes a load, and writes next to nothing.
cudaError_t read_all(const void* data, int64_t bytes, float* sink, cudaStream_t stream);

}  // namespace tenon::bench
