#pragma once

#include "backends/cuda/kernels/device/functions.cuh"
#include "backends/cuda/kernels/device/mma.cuh"

// Decomposed relative positions for flash attention: a query's products with the tables are as many
// as there are rows and columns to look at, and are made before the scores.
namespace tenon::cuda::device {

// A warp's 16 queries as operands of products with tables. A sum may take its elements in any
// order: lane t of four takes the eight of piece 4 j + t, so that queries and tables are read 16
// bytes at a time; of 16 elements left over it takes four.
template <class T, int kDim>
struct TableQueries {
  static constexpr int kWhole = kDim / 32;  // groups of 32 elements
  uint32_t a[kDim / 16][4];

  // address(row, piece): of 16-byte piece `piece` of query `row` in shared memory.
  template <class Address>
  __device__ __forceinline__ explicit TableQueries(const Address& address) {
    int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
#pragma unroll
      for (int j = 0; j < kWhole; ++j) {
        asm volatile("ld.shared.v4.b32 {%0, %1, %2, %3}, [%4];"
                     : "=r"(a[2 * j][half]), "=r"(a[2 * j][half + 2]), "=r"(a[2 * j + 1][half]),
                       "=r"(a[2 * j + 1][half + 2])
                     : "r"(address(g + half * 8, 4 * j + t))
                     : "memory");
      }
      if constexpr (kDim % 32 != 0) {
        asm volatile("ld.shared.v2.b32 {%0, %1}, [%2];"
                     : "=r"(a[2 * kWhole][half]), "=r"(a[2 * kWhole][half + 2])
                     : "r"(address(g + half * 8, 4 * kWhole + t / 2) + t % 2 * 8)
                     : "memory");
      }
    }
  }

  // keep(query, row, log2(e) product) for the rows [begin, end) of a table and some behind them.
  template <class Keep>
  __device__ __forceinline__ void meet(const T* table, int64_t pitch, int begin, int end,
                                       const Keep& keep) const {
    int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll 2
    for (int first = begin; first < end; first += 8) {
      const T* row = table + min(first + g, end - 1) * pitch;
      float products[4] = {};
#pragma unroll
      for (int j = 0; j < kWhole; ++j) {
        uint4 b = __ldg(reinterpret_cast<const uint4*>(row + j * 32 + t * 8));
        mma_16x8x16<T>(products, a[2 * j], b.x, b.y);
        mma_16x8x16<T>(products, a[2 * j + 1], b.z, b.w);
      }
      if constexpr (kDim % 32 != 0) {
        uint2 b = __ldg(reinterpret_cast<const uint2*>(row + kWhole * 32 + t * 4));
        mma_16x8x16<T>(products, a[2 * kWhole], b.x, b.y);
      }
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        keep(g + i / 2 * 8, first + 2 * t + i % 2, products[i] * kLog2E);
      }
    }
  }
};

// bias[row][i] = log2(e) q[row] . table[at(row) - i + extent - 1] for the warp's 16 rows, whose
// at(row) lie from `least` to `most`. Every product with those rows of the table is made, and kept
// where it is met.
template <class T, int kDim, class At>
__device__ __forceinline__ void make_bias(const TableQueries<T, kDim>& queries, const T* table,
                                          int64_t pitch, int extent, int least, int most,
                                          const At& at, float* bias, int bias_row) {
  queries.meet(table, pitch, least, most + extent, [&](int row, int place, float product) {
    int met = at(row) - place + extent - 1;
    if (met >= 0 && met < extent) bias[row * bias_row + met] = product;
  });
}

}  // namespace tenon::cuda::device
