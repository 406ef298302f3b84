#pragma once

#include "backends/cuda/kernels/device/functions.cuh"

namespace tenon::cuda::device {

// x erfc(-x / sqrt 2) / 2 to 2^-19 of its value, in 20 operations: for results that become f16. The
// factor log2(e) and the half stand in the coefficients; 1 / t = 1 + |x| / sqrt 8.
// Source: Press et al., Numerical Recipes in C, 6.2 (a Chebyshev fit of log(erfc(z) e^(z z) / t)).
__device__ __forceinline__ float gelu_short(float x) {
  // Of infinity nothing is left of the tail; without the bound it would be 0 times infinity.
  float z = fminf(fabsf(x), 64.0f), t;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(t) : "f"(fmaf(0.35355339f, z, 1.0f)));
  float sum = 0.17087277f * kLog2E;
  for (float c : {-0.82215223f, 1.48851587f, -1.13520398f, 0.27886807f, -0.18628806f, 0.09678418f,
                  0.37409196f, 1.00002368f}) {
    sum = fmaf(sum, t, c * kLog2E);
  }
  sum = fmaf(sum, t, -1.26551223f * kLog2E - 1.0f);
  float tail = t * exp2_fast(fmaf(-0.5f * kLog2E * z, z, sum));
  return x >= 0.0f ? fmaf(-z, tail, x) : x * tail;
}

__device__ __forceinline__ float apply_short(UnaryKind kind, float x) {
  return kind == UnaryKind::GeluErf ? gelu_short(x) : apply(kind, x);
}

}  // namespace tenon::cuda::device
