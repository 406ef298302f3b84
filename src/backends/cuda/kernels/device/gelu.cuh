#pragma once

#include "backends/cuda/kernels/device/functions.cuh"

namespace tenon::cuda::device {

// erfc to 2^-22 of its value, in a fifth of erfcf's operations: for results that become f16.
// Source: Press et al., Numerical Recipes in C, 6.2 (a Chebyshev fit of log(erfc(z) e^(z z) / t)).
__device__ __forceinline__ float erfc_short(float x) {
  float z = fabsf(x), t = __fdividef(1.0f, fmaf(0.5f, z, 1.0f));
  float sum = 0.17087277f;
  for (float c : {-0.82215223f, 1.48851587f, -1.13520398f, 0.27886807f, -0.18628806f, 0.09678418f,
                  0.37409196f, 1.00002368f, -1.26551223f}) {
    sum = fmaf(sum, t, c);
  }
  float value = t * exp2_fast((sum - z * z) * kLog2E);
  return x >= 0.0f ? value : 2.0f - value;
}

__device__ __forceinline__ float apply_short(UnaryKind kind, float x) {
  if (kind == UnaryKind::GeluErf) return 0.5f * x * erfc_short(-0.70710678118654752f * x);
  return apply(kind, x);
}

}  // namespace tenon::cuda::device
