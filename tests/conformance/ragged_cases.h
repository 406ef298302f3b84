#pragma once

#include <string>
#include <vector>

#include "conformance.h"
#include "paged_batch.h"

namespace tenon::conformance {

// The ragged batches every cache op is asked.
struct RaggedCase {
  std::string name;
  std::vector<SeqLengths> seqs;
};

inline std::vector<RaggedCase> ragged_cases() {
  return {
      {"decode_first", {{0, 1}}},
      {"decode", {{62, 1}}},
      {"prefill", {{0, 37}}},
      {"continued", {{16, 15}}},
      {"decode_batch", {{0, 1}, {16, 1}, {127, 1}, {15, 1}}},
      {"mixed", {{0, 17}, {31, 1}, {5, 3}, {0, 1}, {64, 1}, {15, 33}}},
      {"seq_without_tokens", {{9, 0}, {3, 2}, {0, 0}, {20, 1}}},
      {"no_tokens", {{9, 0}, {3, 0}}},
      {"no_seqs", {}},
      {"long", {{250, 1}, {0, 131}}},
  };
}

// Pushes seq_offsets, kv_lengths, block_table and the cache, promising a larger bucket.
inline void add_ragged_inputs(Case& test_case, const PagedBatch& batch) {
  int64_t seqs = batch.kv_lengths.extents()[0];
  test_case.inputs.push_back(from_tensor(batch.seq_offsets).in_bucket({seqs + 3}));
  test_case.inputs.push_back(from_tensor(batch.kv_lengths).in_bucket({seqs + 2}));
  test_case.inputs.push_back(
      from_tensor(batch.block_table).in_bucket({seqs + 2, batch.block_table.extents()[1] + 5}));
  test_case.inputs.push_back(from_tensor(batch.cache).as_state());
}

}  // namespace tenon::conformance
