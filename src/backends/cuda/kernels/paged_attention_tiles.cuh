#pragma once

#include <algorithm>

#include "backends/cuda/kernels/device/reduce.cuh"
#include "backends/cuda/kernels/paged_attention.cuh"

// Rows of a ragged batch in tiles: what the forms of attention for many rows share.
namespace tenon::cuda {

// Which tokens a block has.
struct TilePlace {
  int seq = -1;            // -1: none
  int first_token = 0;     // of the tile, a row of q
  int tokens = 0;          // of the tile
  int first_position = 0;  // of first_token
};

// The most tiles of `rows` rows (tokens x heads of a kv head) these sizes can have: every sequence
// may end in a partial one.
inline int64_t most_tiles(const AttentionParams& p, int rows) {
  int tile_tokens = rows / (p.heads / p.kv_heads);
  return p.tokens / tile_tokens + std::min(p.tokens, p.seqs);
}

namespace device {

// Tiles of all sequences are numbered in order. Every warp counts for itself, 32 sequences at once.
__device__ inline TilePlace find_tile(const AttentionParams& p, int tile, int tile_tokens) {
  int lane = threadIdx.x % kWarp, before = 0;
  for (int base = 0; base < p.seqs; base += kWarp) {
    int seq = base + lane, begin = 0, count = 0;
    if (seq < p.seqs) {
      begin = p.seq_offsets[seq];
      count = p.seq_offsets[seq + 1] - begin;
    }
    int tiles = (count + tile_tokens - 1) / tile_tokens, up_to = tiles;
#pragma unroll
    for (int step = 1; step < kWarp; step *= 2) {
      int other = __shfl_up_sync(kAllLanes, up_to, step);
      if (lane >= step) up_to += other;
    }
    unsigned behind = __ballot_sync(kAllLanes, tile < before + up_to);
    if (behind != 0) {
      int owner = __ffs(static_cast<int>(behind)) - 1;
      int skipped = __shfl_sync(kAllLanes, up_to - tiles, owner);
      begin = __shfl_sync(kAllLanes, begin, owner);
      count = __shfl_sync(kAllLanes, count, owner);
      int first = (tile - before - skipped) * tile_tokens;
      return {base + owner, begin + first, min(tile_tokens, count - first),
              p.kv_lengths[base + owner] - count + first};
    }
    before += __shfl_sync(kAllLanes, up_to, kWarp - 1);
  }
  return {};
}

// Eight 16-bit elements, one load where they are aligned.
template <class T>
__device__ __forceinline__ uint4 load_eight(const T* from, bool aligned) {
  if (aligned) return *reinterpret_cast<const uint4*>(from);
  Vec<T, 8> elements;
#pragma unroll
  for (int i = 0; i < 8; ++i) elements.at[i] = from[i];
  return *reinterpret_cast<const uint4*>(&elements);
}

}  // namespace device
}  // namespace tenon::cuda
