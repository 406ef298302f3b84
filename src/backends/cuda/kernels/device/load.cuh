#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

// Memory access in vectors, and conversion between storage types and f32.
namespace tenon::cuda::device {

using bf16 = __nv_bfloat16;
using f16 = __half;

__device__ __forceinline__ float to_f32(float value) {
  return value;
}
__device__ __forceinline__ float to_f32(bf16 value) {
  return __bfloat162float(value);
}
__device__ __forceinline__ float to_f32(f16 value) {
  return __half2float(value);
}

template <class T>
__device__ __forceinline__ T from_f32(float value);
template <>
__device__ __forceinline__ float from_f32<float>(float value) {
  return value;
}
template <>
__device__ __forceinline__ bf16 from_f32<bf16>(float value) {
  return __float2bfloat16_rn(value);
}
template <>
__device__ __forceinline__ f16 from_f32<f16>(float value) {
  return __float2half_rn(value);
}

// N elements moved as one access of at most 16 bytes, or as several.
template <class T, int N>
struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) Vec {
  T at[N];
};

// Reads N elements as f32. The address is aligned to min(16, N * sizeof(T)).
template <int N, class T>
__device__ __forceinline__ void load(const T* from, float (&to)[N]) {
  Vec<T, N> packed = *reinterpret_cast<const Vec<T, N>*>(from);
#pragma unroll
  for (int i = 0; i < N; ++i) to[i] = to_f32(packed.at[i]);
}

template <int N, class T>
__device__ __forceinline__ void store(T* to, const float (&from)[N]) {
  Vec<T, N> packed;
#pragma unroll
  for (int i = 0; i < N; ++i) packed.at[i] = from_f32<T>(from[i]);
  *reinterpret_cast<Vec<T, N>*>(to) = packed;
}

// Programmatic dependent launch: see LaunchShape::overlaps_previous. Nothing before sm_90.
__device__ __forceinline__ void wait_for_previous() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
__device__ __forceinline__ void let_next_start() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
#endif
}

}  // namespace tenon::cuda::device
