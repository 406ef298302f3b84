#pragma once

#include "backends/cuda/kernels/device/load.cuh"
#include "tensor/dtype.h"

namespace tenon::cuda::device {

// The element type is known at run time only: one kernel for all mixes that no fast kernel has. The
// branch on the type is the same for the whole grid.
struct Any {};

// Elements of a tensor, read and written as f32. Offsets count elements; vectors of N are aligned.
template <class T>
struct Array {
  T* data;

  template <int N>
  __device__ __forceinline__ void load(int64_t at, float (&to)[N]) const {
    device::load(data + at, to);
  }
  template <int N>
  __device__ __forceinline__ void store(int64_t at, const float (&from)[N]) const {
    device::store(data + at, from);
  }
};

template <>
struct Array<Any> {
  void* data;
  DType dtype;

  template <int N>
  __device__ __forceinline__ void load(int64_t at, float (&to)[N]) const {
    if (dtype == DType::F32) {
      device::load(static_cast<const float*>(data) + at, to);
    } else if (dtype == DType::BF16) {
      device::load(static_cast<const bf16*>(data) + at, to);
    } else {
      device::load(static_cast<const f16*>(data) + at, to);
    }
  }
  template <int N>
  __device__ __forceinline__ void store(int64_t at, const float (&from)[N]) const {
    if (dtype == DType::F32) {
      device::store(static_cast<float*>(data) + at, from);
    } else if (dtype == DType::BF16) {
      device::store(static_cast<bf16*>(data) + at, from);
    } else {
      device::store(static_cast<f16*>(data) + at, from);
    }
  }
};

template <class A>
__device__ __forceinline__ float load_one(const A& array, int64_t at) {
  float value[1];
  array.load(at, value);
  return value[0];
}
template <class A>
__device__ __forceinline__ void store_one(const A& array, int64_t at, float value) {
  const float values[1] = {value};
  array.store(at, values);
}

}  // namespace tenon::cuda::device
