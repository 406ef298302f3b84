#pragma once

#include <vector>

#include "backends/reference/access.h"

// The reading of ops/kv_cache.h that the three cache ops share.
namespace tenon::reference {

// Which half of the cache's second axis.
enum class CachePart { K = 0, V = 1 };

// The cache of one layer with the blocks of each sequence.
struct PagedCache {
  TensorView cache;        // [blocks, 2, kv_heads, block_size, head_dim]
  TensorView block_table;  // i32 [seqs, max_blocks]

  // Of dim 0 of one head at one position of a sequence.
  int64_t offset(CachePart part, int64_t seq, int64_t head, int64_t position) const {
    int64_t block_size = cache.extents[3];
    const int32_t* table = block_table.as<const int32_t>() + seq * block_table.strides[0];
    int64_t block = table[position / block_size * block_table.strides[1]];
    if (block < 0 || block >= cache.extents[0]) {
      throw Error(ErrorCode::BadInput, "block is outside the cache")
          .at("block_table")
          .got(std::to_string(block));
    }
    return block * cache.strides[0] + static_cast<int64_t>(part) * cache.strides[1] +
           head * cache.strides[2] + position % block_size * cache.strides[3];
  }
  double get(CachePart part, int64_t seq, int64_t head, int64_t position, int64_t dim) const {
    return load(cache, offset(part, seq, head, position) + dim * cache.strides[4]);
  }
  // `values` holds all heads of the token: [kv_heads * head_dim] from `first` on.
  void set_token(CachePart part, int64_t seq, int64_t position, const std::vector<double>& values,
                 int64_t first) const {
    int64_t head_dim = cache.extents[4];
    for (int64_t head = 0; head < cache.extents[2]; ++head) {
      for (int64_t dim = 0; dim < head_dim; ++dim) {
        store(cache, offset(part, seq, head, position) + dim * cache.strides[4],
              values[first + head * head_dim + dim]);
      }
    }
  }
};

// Calls token(t, seq, position) for every new token of the batch, in order.
template <class Token>
void for_each_token(const TensorView& seq_offsets, const TensorView& kv_lengths, Token token) {
  for (int64_t seq = 0; seq < kv_lengths.extents[0]; ++seq) {
    int64_t begin = load_i32(seq_offsets, seq), end = load_i32(seq_offsets, seq + 1);
    int64_t first_position = load_i32(kv_lengths, seq) - (end - begin);
    for (int64_t t = begin; t < end; ++t) token(t, seq, first_position + t - begin);
  }
}

}  // namespace tenon::reference
