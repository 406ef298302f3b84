#pragma once

#include <cstdint>
#include <type_traits>

#include "backends/cuda/kernels/device/load.cuh"

namespace tenon::cuda::device {

// Attention weights of a warpgroup [64, 128] as A operands of the product with V (wgmma.cuh):
// rounded, and for bf16 also what rounding took away.
template <class T>
struct Weights {
  static constexpr bool kSplit = std::is_same_v<T, bf16>;
  uint32_t high[32], rest[kSplit ? 32 : 1];

  __device__ __forceinline__ void take(const float (&scores)[64]) {
#pragma unroll
    for (int i = 0; i < 32; ++i) {
      high[i] = pack<T>(scores[2 * i], scores[2 * i + 1]);
      if constexpr (kSplit) {
        rest[i] = pack<T>(scores[2 * i] - unpack_low<T>(high[i]),
                          scores[2 * i + 1] - unpack_high<T>(high[i]));
      }
    }
  }
};

}  // namespace tenon::cuda::device
