#pragma once

#include "backends/cuda/kernels/device/functions.cuh"
#include "backends/cuda/kernels/device/mma.cuh"
#include "backends/cuda/kernels/device/reduce.cuh"

// Flash attention on the tensor cores by mma.sync: what one warp does with its 16 query rows and a
// tile of keys that lies in shared memory. Scores, weights and sums stay in its registers, in the
// layout of mma's C operand: a lane has rows g and g + 8, g = lane / 4.
// Source: Dao, FlashAttention-2, arXiv 2307.08691.
namespace tenon::cuda::device {

// kPitch: elements from row to row of queries, keys and values in shared memory.
template <class T, int kDim, int kKeys, int kPitch>
struct FlashTile {
  using Scores = float[kKeys / 8][4];
  float out[kDim / 8][4] = {};
  float largest[2] = {-INFINITY, -INFINITY}, sum[2] = {0.0f, 0.0f};

  // The key of scores[n][i] in the tile, and which half of the rows it belongs to.
  static __device__ __forceinline__ int key_of(int n, int i) {
    return n * 8 + static_cast<int>(threadIdx.x) % 4 * 2 + i % 2;
  }
  static __device__ __forceinline__ int half_of(int i) { return i / 2; }

  // scores = q . k for the warp's 16 rows from `queries` on and all keys of the tile.
  static __device__ __forceinline__ void multiply(uint32_t queries, uint32_t keys, Scores& scores) {
    int lane = threadIdx.x % 32;
    uint32_t query_at = queries + ((lane % 16) * kPitch + lane / 16 * 8) * 2;
    uint32_t key_at = keys + ((lane % 8 + lane / 16 * 8) * kPitch + lane / 8 % 2 * 8) * 2;
#pragma unroll
    for (int n = 0; n < kKeys / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) scores[n][i] = 0.0f;
    }
#pragma unroll
    for (int k = 0; k < kDim / 16; ++k) {
      uint32_t a[4];
      load_matrices(a, query_at + k * 32);
#pragma unroll
      for (int n = 0; n < kKeys / 16; ++n) {
        uint32_t b[4];
        load_matrices(b, key_at + (n * 16 * kPitch + k * 16) * 2);
        mma_16x8x16<T>(scores[2 * n], a, b[0], b[1]);
        mma_16x8x16<T>(scores[2 * n + 1], a, b[2], b[3]);
      }
    }
  }

  // Scores in log2 units, minus infinity where a row does not see the key, become weights relative
  // to the new maxima; sums are rescaled to those.
  __device__ __forceinline__ void weigh(Scores& scores) {
    float top[2] = {largest[0], largest[1]};
#pragma unroll
    for (int n = 0; n < kKeys / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) top[i / 2] = fmaxf(top[i / 2], scores[n][i]);
    }
    bool grew = false;
    float rescale[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      top[half] = fmaxf(top[half], __shfl_xor_sync(kAllLanes, top[half], 1));
      top[half] = fmaxf(top[half], __shfl_xor_sync(kAllLanes, top[half], 2));
      grew = grew || top[half] > largest[half];
      // A row that saw nothing yet has no maximum; its weights are 0 against any number.
      float base = top[half] == -INFINITY ? 0.0f : top[half];
      rescale[half] = exp2_fast(largest[half] - base);
      largest[half] = top[half];
      top[half] = base;
      sum[half] *= rescale[half];
    }
    if (__any_sync(kAllLanes, grew)) {
#pragma unroll
      for (int n = 0; n < kDim / 8; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) out[n][i] *= rescale[i / 2];
      }
    }
#pragma unroll
    for (int n = 0; n < kKeys / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        scores[n][i] = exp2_fast(scores[n][i] - top[i / 2]);
        sum[i / 2] += scores[n][i];
      }
    }
  }

  // out += weights . values. Split weights enter as two 16-bit numbers, the rounded one and the
  // rest: rounded once they cost 2^-9 (bf16) or 2^-12, which is more than f32 promises.
  template <bool kSplit = true>
  __device__ __forceinline__ void accumulate(const Scores& weights, uint32_t values) {
    int lane = threadIdx.x % 32;
    uint32_t value_at = values + ((lane % 16) * kPitch + lane / 16 * 8) * 2;
#pragma unroll
    for (int k = 0; k < kKeys / 16; ++k) {
      uint32_t high[4], rest[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        float x = weights[2 * k + i / 2][i % 2 * 2], y = weights[2 * k + i / 2][i % 2 * 2 + 1];
        high[i] = pack<T>(x, y);
        if constexpr (kSplit) {
          rest[i] = pack<T>(x - unpack_low<T>(high[i]), y - unpack_high<T>(high[i]));
        }
      }
#pragma unroll
      for (int n = 0; n < kDim / 16; ++n) {
        uint32_t b[4];
        load_matrices_transposed(b, value_at + (k * 16 * kPitch + n * 16) * 2);
        mma_16x8x16<T>(out[2 * n], high, b[0], b[1]);
        mma_16x8x16<T>(out[2 * n + 1], high, b[2], b[3]);
        if constexpr (kSplit) {
          mma_16x8x16<T>(out[2 * n], rest, b[0], b[1]);
          mma_16x8x16<T>(out[2 * n + 1], rest, b[2], b[3]);
        }
      }
    }
  }

  // The sum of all weights of row `half`, known to its four lanes.
  __device__ __forceinline__ float total(int half) const {
    float result = sum[half] + __shfl_xor_sync(kAllLanes, sum[half], 1);
    return result + __shfl_xor_sync(kAllLanes, result, 2);
  }
};

}  // namespace tenon::cuda::device
