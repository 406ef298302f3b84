#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "tensor/tensor.h"

namespace tenon::conformance {

// One sequence of a ragged batch: `cached` positions are in the cache already, `fresh` tokens come
// with this step. {0, 40} is a prefill, {99, 1} a decode, {16, 8} a continued prefill.
struct SeqLengths {
  int32_t cached = 0, fresh = 0;
};

struct PagedBatchOptions {
  std::vector<SeqLengths> seqs;
  int64_t kv_heads = 1, head_dim = 8;
  int64_t block_size = 16;  // 0: one block a sequence, a contiguous cache
  DType cache_dtype = DType::F32;
  // Whether the cache holds the fresh positions too, as it does once kv_append ran.
  bool holds_fresh = true;
  double k_spread = 1.0;
};

// The ragged inputs of ops/kv_cache.h. Blocks of the sequences are dealt in random order, the cache
// has blocks no sequence owns, and whatever no sequence may read is NaN: slots after the last
// position, and the blocks nobody owns. Unused entries of block_table are -1.
struct PagedBatch {
  int64_t tokens = 0;
  Tensor positions;    // i32 [tokens]
  Tensor seq_offsets;  // i32 [seqs + 1]
  Tensor kv_lengths;   // i32 [seqs]
  Tensor block_table;  // i32 [seqs, max_blocks]
  Tensor cache;        // [blocks, 2, kv_heads, block_size, head_dim]
};

// The same seed gives the same batch.
PagedBatch make_random_paged_batch(const PagedBatchOptions& options, std::string_view seed);

}  // namespace tenon::conformance
