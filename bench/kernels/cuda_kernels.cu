#include "kernels/cuda_kernels.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace tenon::bench {
namespace {

constexpr int kThreads = 512, kUnroll = 8;

__device__ float random_unit(uint64_t index, uint32_t seed) {
  uint64_t z = index * 0x9E3779B97F4A7C15ull + seed * 0xD1B54A32D192ED03ull + 1;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return static_cast<float>(static_cast<int32_t>((z ^ (z >> 31)) >> 32)) * 0x1p-31f;
}

__global__ void fill_kernel(void* data, DType dtype, int64_t count, uint32_t seed, float spread) {
  int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x; i < count;
       i += step) {
    float value = spread * random_unit(i, seed);
    if (dtype == DType::F32) {
      static_cast<float*>(data)[i] = value;
    } else if (dtype == DType::BF16) {
      static_cast<__nv_bfloat16*>(data)[i] = __float2bfloat16_rn(value);
    } else {
      static_cast<__half*>(data)[i] = __float2half_rn(value);
    }
  }
}

__global__ void __launch_bounds__(kThreads)
    read_kernel(const uint4* data, int64_t count, float* sink) {
  uint32_t mixed = 0;
  int64_t step = static_cast<int64_t>(gridDim.x) * kThreads;
  int64_t at = blockIdx.x * static_cast<int64_t>(kThreads) + threadIdx.x;
  for (; at + (kUnroll - 1) * step < count; at += kUnroll * step) {
    uint4 values[kUnroll];
#pragma unroll
    for (int i = 0; i < kUnroll; ++i) values[i] = __ldcs(data + at + i * step);
#pragma unroll
    for (int i = 0; i < kUnroll; ++i) {
      mixed ^= values[i].x ^ values[i].y ^ values[i].z ^ values[i].w;
    }
  }
  for (; at < count; at += step) mixed ^= __ldcs(data + at).x;
  // Never true for random data; the compiler does not know.
  if (mixed == 0x12345678u) *sink = 1.0f;
}

}  // namespace

cudaError_t fill_random(void* data, DType dtype, int64_t count, uint32_t seed, float spread,
                        cudaStream_t stream) {
  fill_kernel<<<2048, 256, 0, stream>>>(data, dtype, count, seed, spread);
  return cudaGetLastError();
}

cudaError_t read_all(const void* data, int64_t bytes, float* sink, cudaStream_t stream) {
  int device = 0, processors = 0;
  cudaError_t status = cudaGetDevice(&device);
  if (status == cudaSuccess) {
    status = cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device);
  }
  if (status != cudaSuccess) return status;
  read_kernel<<<processors * 4, kThreads, 0, stream>>>(static_cast<const uint4*>(data), bytes / 16,
                                                       sink);
  return cudaGetLastError();
}

}  // namespace tenon::bench
