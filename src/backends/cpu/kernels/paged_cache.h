#pragma once

#include <span>

#include "backends/cpu/kernels/ranges.h"
#include "base/error.h"
#include "tensor/tensor.h"

namespace tenon::cpu {

// The ragged inputs of ops/kv_cache.h, all on the host.
struct RaggedBatch {
  TensorView seq_offsets;  // i32 [seqs + 1]
  TensorView kv_lengths;   // i32 [seqs]
  TensorView block_table;  // i32 [seqs, max_blocks]
  TensorView cache;        // [blocks, 2, kv_heads, block_size, head_dim]

  int64_t seqs() const { return kv_lengths.extents[0]; }
  int64_t first_token(int64_t seq) const { return element(seq_offsets, seq); }
  int64_t new_tokens(int64_t seq) const {
    return element(seq_offsets, seq + 1) - element(seq_offsets, seq);
  }
  int64_t length(int64_t seq) const { return element(kv_lengths, seq); }
  int64_t first_position(int64_t seq) const { return length(seq) - new_tokens(seq); }
  int64_t block_size() const { return cache.extents[3]; }
  int64_t row_pitch() const { return cache.strides[3]; }

  // K (part 0) or V (part 1) of one head at one position. Throws where the table or the cache does
  // not reach: the two come from different owners.
  std::byte* row(int64_t seq, int64_t position, int part, int64_t head) const {
    int64_t in_table = position / block_size();
    TENON_CHECK(position >= 0 && in_table < block_table.extents[1]);
    int64_t block =
        block_table
            .as<const int32_t>()[seq * block_table.strides[0] + in_table * block_table.strides[1]];
    if (block < 0 || block >= cache.extents[0]) {
      throw Error(ErrorCode::BadInput, "block is outside the cache")
          .at("block_table")
          .got(std::to_string(block));
    }
    int64_t offset = block * cache.strides[0] + part * cache.strides[1] + head * cache.strides[2] +
                     position % block_size() * cache.strides[3];
    return static_cast<std::byte*>(cache.data) + dtype_bytes(cache.dtype, offset);
  }
  // The same for `count` positions from `begin` on.
  void find_rows(int64_t seq, int64_t begin, int64_t count, int part, int64_t head,
                 const void** rows) const {
    int64_t pitch = dtype_bytes(cache.dtype, row_pitch());
    for (int64_t i = 0; i < count;) {
      // Rows of one block lie at one pitch.
      int64_t in_block = block_size() - (begin + i) % block_size();
      const std::byte* from = row(seq, begin + i, part, head);
      for (int64_t last = std::min(count, i + in_block); i < last; from += pitch) rows[i++] = from;
    }
  }

 private:
  static int64_t element(const TensorView& view, int64_t index) {
    return view.as<const int32_t>()[index * view.strides[0]];
  }
};

// The ragged inputs of an op, from input `first` on.
inline RaggedBatch ragged_batch(std::span<const TensorView> inputs, size_t first) {
  RaggedBatch batch{inputs[first], inputs[first + 1], inputs[first + 2], inputs[first + 3]};
  TENON_CHECK(batch.cache.rank() == 5 && batch.cache.strides[4] == 1);
  return batch;
}

// Calls work(thread, token, seq, position) for every new token, on several threads where there are
// more than `grain` of them.
template <class Work>
void for_each_new_token(const RaggedBatch& batch, int64_t grain, Work work) {
  int64_t tokens = batch.seqs() == 0 ? 0 : batch.first_token(batch.seqs());
  for_ranges(tokens, grain, [&](int thread, int64_t begin, int64_t end) {
    for (int64_t seq = 0; seq < batch.seqs(); ++seq) {
      int64_t first = batch.first_token(seq), last = first + batch.new_tokens(seq);
      for (int64_t token = std::max(begin, first); token < std::min(end, last); ++token) {
        work(thread, token, seq, batch.first_position(seq) + token - first);
      }
    }
  });
}

}  // namespace tenon::cpu
