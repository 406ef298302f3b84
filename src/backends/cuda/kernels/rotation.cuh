#pragma once

#include "backends/cuda/kernels/device/array.cuh"
#include "tensor/tensor.h"

// Rotation of heads and writing of the paged cache: what rope, kv_append and rope_kv_append share.
// A block works on one token. V elements are one unit of work.
namespace tenon::cuda {

struct Rotation {
  const float* inv_freq = nullptr;  // f32, contiguous
  int pairs = 0;                    // 0: no rotation
  bool interleaved = false;
  float scale = 1;
};

// [blocks, 2, kv_heads, block_size, head_dim] with the tables of ops/kv_cache.h.
template <class T>
struct PagedCache {
  device::Array<T> array;
  int64_t strides[5];
  int64_t blocks, block_size;
  const int32_t *seq_offsets, *kv_lengths, *block_table;
  int64_t seq_offsets_step, kv_lengths_step, table_row, table_step;
  int64_t seqs, table_columns;
};

namespace device {

// Where a token's rows lie in the cache; -1 where the token belongs to no sequence.
struct CachePlace {
  int64_t k = -1, v = -1;
};

// Every thread of the block takes part and gets the same answer. The comparisons of all sequences
// run side by side: a binary search would be a chain of loads.
template <class T>
__device__ __forceinline__ CachePlace find_place(const PagedCache<T>& cache, int64_t token) {
  int64_t seq = 0;
  for (int64_t first = 0; first < cache.seqs; first += blockDim.x) {
    int64_t s = first + threadIdx.x;
    bool ended = s < cache.seqs && cache.seq_offsets[(s + 1) * cache.seq_offsets_step] <= token;
    seq += __syncthreads_count(ended);
  }
  CachePlace place;
  if (seq >= cache.seqs) return place;
  int64_t begin = cache.seq_offsets[seq * cache.seq_offsets_step];
  int64_t end = cache.seq_offsets[(seq + 1) * cache.seq_offsets_step];
  int64_t position = cache.kv_lengths[seq * cache.kv_lengths_step] - end + token;
  int64_t column = position / cache.block_size;
  if (token < begin || position < 0 || column >= cache.table_columns) return place;
  int64_t block = cache.block_table[seq * cache.table_row + column * cache.table_step];
  // A wrong table must not write into memory of others.
  if (block < 0 || block >= cache.blocks) return place;
  place.k = block * cache.strides[0] + position % cache.block_size * cache.strides[3];
  place.v = place.k + cache.strides[1];
  return place;
}

// cos and sin of a token's angles, times the scale, into shared memory: all heads share them.
// cosf and sinf reduce the whole range of f32; the angle is rounded to f32 as in transformers.
__device__ __forceinline__ void make_angles(const Rotation& rotation, int position, float2* table) {
  for (int j = threadIdx.x; j < rotation.pairs; j += blockDim.x) {
    float sine, cosine;
    sincosf(static_cast<float>(position) * rotation.inv_freq[j], &sine, &cosine);
    table[j] = make_float2(cosine * rotation.scale, sine * rotation.scale);
  }
}

__device__ __forceinline__ void rotate_pair(float& a, float& b, float2 angle) {
  float left = a * angle.x - b * angle.y;
  b = b * angle.x + a * angle.y;
  a = left;
}

// Unit `unit` of one head: loads from `load(dim, values)`, rotates where the head is rotated, and
// gives to `store(dim, values)`. Of a pair of halves the unit of the first half does both.
template <int V, class Load, class Store>
__device__ __forceinline__ void move_unit(const Rotation& rotation, bool rotated,
                                          const float2* angles, int unit, Load load, Store store) {
  int dim = unit * V, pairs = rotated ? rotation.pairs : 0;
  float values[V];
  if (dim >= 2 * pairs) {
    load(dim, values);
    store(dim, values);
  } else if (rotation.interleaved) {
    if constexpr (V == 1) {
      if (dim % 2 != 0) return;
      float other[1];
      load(dim, values);
      load(dim + 1, other);
      rotate_pair(values[0], other[0], angles[dim / 2]);
      store(dim, values);
      store(dim + 1, other);
    } else {
      load(dim, values);
#pragma unroll
      for (int i = 0; i < V; i += 2) rotate_pair(values[i], values[i + 1], angles[(dim + i) / 2]);
      store(dim, values);
    }
  } else if (dim < pairs) {
    float other[V];
    load(dim, values);
    load(dim + pairs, other);
#pragma unroll
    for (int i = 0; i < V; ++i) rotate_pair(values[i], other[i], angles[dim + i]);
    store(dim, values);
    store(dim + pairs, other);
  }
}

}  // namespace device

// Whether units of `elements` never straddle what rotates and what does not.
inline bool rotation_fits(const Rotation& rotation, int64_t head_dim, int64_t elements) {
  return head_dim % elements == 0 && rotation.pairs % elements == 0;
}

template <class T>
PagedCache<T> paged_cache(const TensorView& seq_offsets, const TensorView& kv_lengths,
                          const TensorView& block_table, const TensorView& cache) {
  PagedCache<T> result{};
  if constexpr (std::is_same_v<T, device::Any>) {
    result.array = {cache.data, cache.dtype};
  } else {
    result.array = {cache.as<T>()};
  }
  for (int axis = 0; axis < 5; ++axis) result.strides[axis] = cache.strides[axis];
  result.blocks = cache.extents[0];
  result.block_size = cache.extents[3];
  result.seq_offsets = seq_offsets.as<const int32_t>();
  result.kv_lengths = kv_lengths.as<const int32_t>();
  result.block_table = block_table.as<const int32_t>();
  result.seq_offsets_step = seq_offsets.strides[0];
  result.kv_lengths_step = kv_lengths.strides[0];
  result.table_row = block_table.strides[0];
  result.table_step = block_table.strides[1];
  result.seqs = kv_lengths.extents[0];
  result.table_columns = block_table.extents[1];
  return result;
}

// Blocks a token: enough for the GPU to be busy with few tokens, one where there are many.
inline unsigned blocks_a_token(int64_t tokens, int64_t units, int64_t threads) {
  int64_t most = (units + threads - 1) / threads;
  int64_t wanted = tokens >= 512 ? 1 : (512 + tokens - 1) / (tokens > 0 ? tokens : 1);
  return static_cast<unsigned>(most < wanted ? (most > 0 ? most : 1) : wanted);
}

}  // namespace tenon::cuda
