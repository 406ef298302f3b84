#pragma once

#include "backends/cuda/kernels/device/load.cuh"
#include "base/error.h"
#include "tensor/dtype.h"

// From a DType at run time to a C++ type at compile time.
namespace tenon::cuda {

template <class T>
struct Type {
  using type = T;
};

// Calls f(Type<float>{}), f(Type<bf16>{}) or f(Type<f16>{}).
template <class F>
void dispatch_float(DType dtype, F&& f) {
  switch (dtype) {
    case DType::F32:
      return f(Type<float>{});
    case DType::BF16:
      return f(Type<device::bf16>{});
    case DType::F16:
      return f(Type<device::f16>{});
    default:
      throw Error(ErrorCode::Internal, "dtype was not refused").got(dtype_name(dtype));
  }
}

}  // namespace tenon::cuda
