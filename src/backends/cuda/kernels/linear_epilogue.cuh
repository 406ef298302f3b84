#pragma once

#include "backends/cuda/kernels/device/functions.cuh"
#include "backends/cuda/kernels/device/load.cuh"
#include "backends/cuda/kernels/linear.h"

// What happens to a finished sum of `linear`. Types are read at run time: the branches are the same
// for every thread, and there is one epilogue for many products.
namespace tenon::cuda::device {

__device__ __forceinline__ float load_float(const void* data, DType dtype, int64_t index) {
  if (dtype == DType::F32) return static_cast<const float*>(data)[index];
  if (dtype == DType::BF16) return to_f32(static_cast<const bf16*>(data)[index]);
  return to_f32(static_cast<const f16*>(data)[index]);
}

__device__ __forceinline__ void store_float(void* data, DType dtype, int64_t index, float value) {
  if (dtype == DType::F32) {
    static_cast<float*>(data)[index] = value;
  } else if (dtype == DType::BF16) {
    static_cast<bf16*>(data)[index] = from_f32<bf16>(value);
  } else {
    static_cast<f16*>(data)[index] = from_f32<f16>(value);
  }
}

// What is added to a sum: known before the sum is.
struct Addends {
  float bias = 0.0f, residual = 0.0f;
};

struct Epilogue {
  void* y;
  const void* bias;
  const void* residual;
  int64_t y_pitch, residual_pitch;
  DType y_dtype, bias_dtype, residual_dtype;
  int activation;

  __device__ __forceinline__ Addends addends(int64_t row, int64_t column) const {
    Addends result;
    if (bias) result.bias = load_float(bias, bias_dtype, column);
    if (residual) {
      result.residual = load_float(residual, residual_dtype, row * residual_pitch + column);
    }
    return result;
  }
  __device__ __forceinline__ void finish(int64_t row, int64_t column, float sum,
                                         const Addends& added) const {
    if (bias) sum += added.bias;
    if (activation != kNoActivation) sum = apply(static_cast<UnaryKind>(activation), sum);
    if (residual) sum += added.residual;
    store_float(y, y_dtype, row * y_pitch + column, sum);
  }
  __device__ __forceinline__ void finish(int64_t row, int64_t column, float sum) const {
    finish(row, column, sum, addends(row, column));
  }
};

}  // namespace tenon::cuda::device

namespace tenon::cuda {

inline device::Epilogue epilogue_of(const LinearCall& call) {
  return {.y = call.y.data,
          .bias = call.bias,
          .residual = call.residual.data,
          .y_pitch = call.y.pitch,
          .residual_pitch = call.residual.pitch,
          .y_dtype = call.y.dtype,
          .bias_dtype = call.bias_dtype,
          .residual_dtype = call.residual.dtype,
          .activation = call.activation};
}

}  // namespace tenon::cuda
