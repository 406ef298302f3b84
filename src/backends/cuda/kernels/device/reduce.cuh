#pragma once

#include <cstdint>

// Reductions in a fixed order, so that results are the same bits every time.
namespace tenon::cuda::device {

inline constexpr int kWarp = 32;
inline constexpr unsigned kAllLanes = 0xFFFFFFFFu;

struct Sum {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
struct Max {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a > b ? a : b;
  }
};

// The result in every lane.
template <class Op, class T>
__device__ __forceinline__ T warp_reduce(T value, Op op) {
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) {
    value = op(value, __shfl_xor_sync(kAllLanes, value, step));
  }
  return value;
}

// The result in every thread. `scratch` has one element a warp in shared memory; the same scratch
// may be used again at once. Every thread of the block takes part; blockDim.x is a multiple of 32.
template <class Op, class T>
__device__ __forceinline__ T block_reduce(T value, T* scratch, Op op) {
  value = warp_reduce(value, op);
  int warps = blockDim.x / kWarp;
  if (warps == 1) return value;
  if (threadIdx.x % kWarp == 0) scratch[threadIdx.x / kWarp] = value;
  __syncthreads();
  T result = scratch[0];
  for (int i = 1; i < warps; ++i) result = op(result, scratch[i]);
  __syncthreads();
  return result;
}

}  // namespace tenon::cuda::device
