#pragma once

#include "backends/cuda/kernels/device/functions.cuh"
#include "backends/cuda/kernels/device/mma.cuh"

// Decomposed relative positions for flash attention: a query's products with the tables are as many
// as there are rows and columns to look at, and are made before the scores.
namespace tenon::cuda::device {

// bias[row][i] = log2(e) q[row] . table[at(row) - i + extent - 1] for the warp's 16 rows. Every
// product with the table is made, and kept where it is met.
template <class T, int kDim, int kPitch, class At>
__device__ void make_bias(uint32_t queries, const T* table, int64_t pitch, int extent, const At& at,
                          float* bias, int bias_row) {
  int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  uint32_t query_at = queries + ((lane % 16) * kPitch + lane / 16 * 8) * 2;
  for (int first = 0; first < 2 * extent - 1; first += 8) {
    float products[4] = {};
    const T* row = table + min(first + g, 2 * extent - 2) * pitch + 2 * t;
#pragma unroll
    for (int k = 0; k < kDim / 16; ++k) {
      uint32_t a[4];
      load_matrices(a, query_at + k * 32);
      uint32_t low = *reinterpret_cast<const uint32_t*>(row + k * 16);
      uint32_t high = *reinterpret_cast<const uint32_t*>(row + k * 16 + 8);
      mma_16x8x16<T>(products, a, low, high);
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      int place = first + 2 * t + i % 2, own = g + i / 2 * 8, met = at(own) - place + extent - 1;
      if (met >= 0 && met < extent) bias[own * bias_row + met] = products[i] * kLog2E;
    }
  }
}

}  // namespace tenon::cuda::device
