#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "backends/cuda/kernels/device/functions.cuh"
#include "backends/cuda/kernels/device/load.cuh"
#include "ops/kv_cache.h"

// What the forms of `paged_attention` share: the reading of ops/kv_cache.h.
namespace tenon::cuda {

struct AttentionParams {
  const void* q;           // [tokens, heads * head_dim]
  void* out;               // likewise
  const int* seq_offsets;  // [seqs + 1]
  const int* kv_lengths;   // [seqs]
  const int* block_table;  // [seqs, max_blocks]
  const void* cache;       // [blocks, 2, kv_heads, block_size, head_dim], rows dense
  int64_t q_pitch, out_pitch, table_pitch;
  int64_t block_stride, part_stride, head_stride, row_stride;
  DType dtype, out_dtype;  // of q and of out
  int tokens, seqs, heads, kv_heads, head_dim, window, blocks, block_size;
  int block_shift;  // log2 of block_size; -1 where that is no power of two
  float scale, softcap;
  int64_t most_positions;  // a sequence can hold
  int splits = 0;          // of decoding over blocks, where a tactic says so; 0: by the sizes
};

namespace device {

// Scores become log2 weights. A hook maps the dot product q.k to score * log2(e); it may know the
// key's position and the query's head. It is a template parameter: what it does not use is not
// computed.
struct ScaledScore {
  float factor;
  explicit ScaledScore(const AttentionParams& params) : factor(params.scale * kLog2E) {}
  __device__ float operator()(float dot, int, int) const { return dot * factor; }
};
struct SoftcappedScore {
  float inner, outer;
  explicit SoftcappedScore(const AttentionParams& params)
      : inner(params.scale / params.softcap), outer(params.softcap * kLog2E) {}
  __device__ float operator()(float dot, int, int) const { return outer * tanhf(dot * inner); }
};
// Either of them, decided at run time: where memory binds, the branch is free.
struct AnyScore {
  float inner, outer;
  bool capped;
  explicit AnyScore(const AttentionParams& params)
      : inner(params.softcap > 0 ? params.scale / params.softcap : params.scale * kLog2E),
        outer(params.softcap * kLog2E),
        capped(params.softcap > 0) {}
  __device__ float operator()(float dot, int, int) const {
    return capped ? outer * tanhf(dot * inner) : dot * inner;
  }
};

// A token's place. seq is -1 where the token is in no sequence.
struct TokenPlace {
  int seq, position;
};

__device__ __forceinline__ TokenPlace find_token(const AttentionParams& p, int token) {
  int low = 0, high = p.seqs;
  // Plain decoding: token i is the one of sequence i.
  if (token < p.seqs && p.seq_offsets[token] == token && p.seq_offsets[token + 1] == token + 1) {
    low = token;
  } else {
    // The last sequence that starts at or before the token: empty ones start where it starts.
    while (low < high) {
      int middle = (low + high) / 2;
      if (p.seq_offsets[middle + 1] <= token) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    if (low >= p.seqs) return {-1, 0};
  }
  int begin = p.seq_offsets[low], end = p.seq_offsets[low + 1];
  return {low, p.kv_lengths[low] - (end - begin) + token - begin};
}

// Element offset of the K row of a position; the V row lies part_stride behind it. A block outside
// the cache, which a caller must not pass, is read as the nearest: never outside the memory.
__device__ __forceinline__ int64_t row_offset(const AttentionParams& p, int seq, int kv_head,
                                              int position) {
  int index = p.block_shift >= 0 ? position >> p.block_shift : position / p.block_size;
  int row = position - index * p.block_size;
  int block = p.block_table[seq * p.table_pitch + index];
  block = min(max(block, 0), p.blocks - 1);
  return block * p.block_stride + kv_head * p.head_stride + row * p.row_stride;
}

__device__ __forceinline__ int first_visible(const AttentionParams& p, int position) {
  return p.window > 0 ? max(0, position - p.window + 1) : 0;
}

}  // namespace device

// One query a time, positions shared by the threads of a block and by the blocks of a cluster.
bool fits_split_attention(const AttentionParams& params, DType cache);
void run_split_attention(const AttentionParams& params, DType cache, cudaStream_t stream);
// The same on Hopper's copy engine and tensor cores, for a 16-bit cache and heads of 64 and 128.
bool fits_decode_attention(const AttentionParams& params, DType cache);
void run_decode_attention(const AttentionParams& params, cudaStream_t stream);
// Tiles of queries on the tensor cores; q and cache of one 16-bit type.
bool fits_flash_attention(const AttentionParams& params, DType cache);
void run_flash_attention(const AttentionParams& params, cudaStream_t stream);
// Likewise on Hopper by wgmma, for heads of 64 and 128.
bool fits_wgmma_attention(const AttentionParams& params, DType cache);
void run_wgmma_attention(const AttentionParams& params, cudaStream_t stream);
// Correct for everything.
void run_simple_attention(const AttentionParams& params, DType cache, cudaStream_t stream);

}  // namespace tenon::cuda
