#pragma once

#include <cstdint>

#include "backends/cuda/kernels/device/load.cuh"

// The product for everything: y[row, column] = sum over k of x(row, k) weight(column, k), in f32,
// never rounded to tf32. What x and weight are, functions say: any type, any place in memory.
namespace tenon::cuda::device {

struct SimpleProduct {
  static constexpr int kTile = 64, kInner = 16, kThreads = 256, kOwn = 4;
  static constexpr int kPad = 4;  // keeps the transposing stores of a warp in different banks
  struct Shared {
    float x[kInner][kTile + kPad], weight[kInner][kTile + kPad];
    float finished[kTile][kTile];
  };

  // Rows [first, first + kTile) and columns [k0, k0 + kInner) of a matrix, transposed into `tile`;
  // zero outside.
  template <class Get>
  static __device__ void load_tile(const Get& get, int first, int rows, int k0, int k,
                                   float (*tile)[kTile + kPad]) {
    for (int i = threadIdx.x; i < kTile * kInner; i += kThreads) {
      int row = i / kInner, column = i % kInner;
      bool inside = first + row < rows && k0 + column < k;
      tile[column][row] = inside ? get(first + row, k0 + column) : 0.0f;
    }
  }

  // One tile of y; `finish(row, column, sum)` for each of its elements.
  template <class X, class Weight, class Finish>
  static __device__ void tile(Shared& shared, int m0, int n0, int m, int n, int k, const X& x,
                              const Weight& weight, const Finish& finish) {
    int own_row = threadIdx.x / (kTile / kOwn) * kOwn, own_column = threadIdx.x % (kTile / kOwn);
    float sums[kOwn][kOwn] = {};
    for (int k0 = 0; k0 < k; k0 += kInner) {
      load_tile(x, m0, m, k0, k, shared.x);
      load_tile(weight, n0, n, k0, k, shared.weight);
      __syncthreads();
#pragma unroll
      for (int i = 0; i < kInner; ++i) {
        float left[kOwn], right[kOwn];
#pragma unroll
        for (int j = 0; j < kOwn; ++j) {
          left[j] = shared.x[i][own_row + j];
          right[j] = shared.weight[i][own_column + j * (kTile / kOwn)];
        }
#pragma unroll
        for (int a = 0; a < kOwn; ++a) {
#pragma unroll
          for (int b = 0; b < kOwn; ++b) sums[a][b] = fmaf(left[a], right[b], sums[a][b]);
        }
      }
      __syncthreads();
    }
#pragma unroll
    for (int a = 0; a < kOwn; ++a) {
#pragma unroll
      for (int b = 0; b < kOwn; ++b) {
        shared.finished[own_row + a][own_column + b * (kTile / kOwn)] = sums[a][b];
      }
    }
    __syncthreads();
    // Through shared memory, so that the epilogue's code stands here once and not per sum.
#pragma unroll 1
    for (int i = threadIdx.x; i < kTile * kTile; i += kThreads) {
      int row = m0 + i / kTile, column = n0 + i % kTile;
      if (row < m && column < n) finish(row, column, shared.finished[i / kTile][i % kTile]);
    }
    __syncthreads();
  }
};

}  // namespace tenon::cuda::device
