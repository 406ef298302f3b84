#include "paged_batch.h"

#include <algorithm>
#include <limits>

#include "backends/reference/paged_cache.h"
#include "base/checked.h"
#include "operand.h"

namespace tenon::conformance {
namespace {

Tensor i32_tensor(const Extents& extents, const std::vector<int32_t>& values) {
  return Tensor::make_from<int32_t>(DType::I32, extents, values);
}

void fill_with_nan(const TensorView& view) {
  for (int64_t i = 0; i < view.count(); ++i) {
    reference::store(view, i, std::numeric_limits<double>::quiet_NaN());
  }
}

}  // namespace

PagedBatch make_random_paged_batch(const PagedBatchOptions& options, std::string_view seed) {
  Random random(seed);
  PagedBatch batch;
  std::vector<int32_t> positions, offsets = {0}, lengths;
  int32_t longest = 1;
  for (SeqLengths seq : options.seqs) {
    for (int32_t i = 0; i < seq.fresh; ++i) positions.push_back(seq.cached + i);
    offsets.push_back(offsets.back() + seq.fresh);
    lengths.push_back(seq.cached + seq.fresh);
    longest = std::max(longest, lengths.back());
  }
  int64_t block_size = options.block_size > 0 ? options.block_size : longest;
  int64_t seqs = static_cast<int64_t>(options.seqs.size()),
          max_blocks = ceil_div(longest, block_size);

  int64_t needed = 0;
  for (int32_t length : lengths) needed += ceil_div(length, block_size);
  std::vector<int32_t> free_blocks(needed + 3);
  for (size_t i = 0; i < free_blocks.size(); ++i) free_blocks[i] = static_cast<int32_t>(i);
  for (size_t i = free_blocks.size(); i > 1; --i) {
    std::swap(free_blocks[i - 1], free_blocks[random.below(static_cast<int64_t>(i))]);
  }
  int64_t blocks = static_cast<int64_t>(free_blocks.size());
  std::vector<int32_t> table(seqs * max_blocks, -1);
  for (int64_t seq = 0; seq < seqs; ++seq) {
    for (int64_t i = 0; i < ceil_div(lengths[seq], block_size); ++i) {
      table[seq * max_blocks + i] = free_blocks.back();
      free_blocks.pop_back();
    }
  }

  batch.tokens = static_cast<int64_t>(positions.size());
  batch.positions = i32_tensor({batch.tokens}, positions);
  batch.seq_offsets = i32_tensor({seqs + 1}, offsets);
  batch.kv_lengths = i32_tensor({seqs}, lengths);
  batch.block_table = i32_tensor({seqs, max_blocks}, table);
  batch.cache = Tensor::make(options.cache_dtype,
                             {blocks, 2, options.kv_heads, block_size, options.head_dim});
  fill_with_nan(batch.cache);

  reference::PagedCache cache{batch.cache, batch.block_table};
  for (int64_t seq = 0; seq < seqs; ++seq) {
    int32_t held = options.holds_fresh ? lengths[seq] : options.seqs[seq].cached;
    for (int32_t position = 0; position < held; ++position) {
      std::vector<double> k(options.kv_heads * options.head_dim), v(k.size());
      for (double& value : k) value = options.k_spread * random.normal();
      for (double& value : v) value = random.normal();
      cache.set_token(reference::CachePart::K, seq, position, k, 0);
      cache.set_token(reference::CachePart::V, seq, position, v, 0);
    }
  }
  return batch;
}

}  // namespace tenon::conformance
