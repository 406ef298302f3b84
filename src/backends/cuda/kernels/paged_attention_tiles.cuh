#pragma once

#include <algorithm>
#include <climits>

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

// Which tiles a block takes, for which kv head. They are numbered by what they cost: those behind
// most positions first, by depth, which is a tile's place in its sequence with what was there
// before; at one depth every sequence has one tile or none, for each kv head. Blocks take them
// forth and back (0 to last, last to 0), which evens out what they get. Every warp counts for
// itself, 32 sequences at once.
class Schedule {
 public:
  __device__ Schedule(const AttentionParams& p, int tile_rows)
      : p_(p), tile_tokens_(tile_rows / (p.heads / p.kv_heads)) {
    for (int base = 0; base < p.seqs; base += kWarp) {
      Sequence s = sequence(base + threadIdx.x % kWarp);
      if (s.tiles == 0) continue;
      depth_ = max(depth_, s.first + s.tiles - 1);
      least_ = min(least_, s.first);
    }
    depth_ = __reduce_max_sync(kAllLanes, depth_);
    least_ = __reduce_min_sync(kAllLanes, least_);
  }

  // False: there is none left.
  __device__ bool next(TilePlace& place, int& kv_head) {
    int turn = static_cast<int>(round_ % 2 == 0 ? blockIdx.x : gridDim.x - 1 - blockIdx.x);
    int index = round_ * static_cast<int>(gridDim.x) + turn;
    ++round_;
    kv_head = index % p_.kv_heads;
    return seek(index / p_.kv_heads, place);
  }

 private:
  // Of a sequence: its tokens, what was before them, and both in tiles.
  struct Sequence {
    int begin = 0, tokens = 0, before = 0, first = 0, tiles = 0;
  };
  __device__ __forceinline__ Sequence sequence(int seq) const {
    Sequence s;
    if (seq >= p_.seqs) return s;
    s.begin = p_.seq_offsets[seq];
    s.tokens = p_.seq_offsets[seq + 1] - s.begin;
    s.before = p_.kv_lengths[seq] - s.tokens;
    s.first = s.before / tile_tokens_;
    s.tiles = (s.tokens + tile_tokens_ - 1) / tile_tokens_;
    return s;
  }

  // The tile of this number, which only grows from call to call.
  __device__ bool seek(int number, TilePlace& place) {
    for (; depth_ >= least_; --depth_) {
      int passed = passed_;
      for (int base = 0; base < p_.seqs; base += kWarp) {
        Sequence s = sequence(base + threadIdx.x % kWarp);
        bool has = depth_ >= s.first && depth_ < s.first + s.tiles;
        unsigned having = __ballot_sync(kAllLanes, has);
        if (number < passed + __popc(having)) {
          place = tile(s, base, static_cast<int>(__fns(having, 0, number - passed + 1)));
          return true;
        }
        passed += __popc(having);
      }
      passed_ = passed;
    }
    return false;
  }

  __device__ __forceinline__ TilePlace tile(const Sequence& own, int base, int lane) const {
    auto of_lane = [&](int value) { return __shfl_sync(kAllLanes, value, lane); };
    int skipped = (depth_ - of_lane(own.first)) * tile_tokens_;
    return {base + lane, of_lane(own.begin) + skipped,
            min(tile_tokens_, of_lane(own.tokens) - skipped), of_lane(own.before) + skipped};
  }

  const AttentionParams& p_;
  int tile_tokens_;
  int depth_ = -1, least_ = INT_MAX;  // what is left
  int passed_ = 0, round_ = 0;        // tiles of greater depths; tiles asked for
};

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
