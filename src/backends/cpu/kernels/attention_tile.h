#pragma once

#include "backends/cpu/kernels/paged_cache.h"
#include "backends/cpu/kernels/row_access.h"
#include "backends/cpu/kernels/tables.h"
#include "ops/kv_cache.h"

namespace tenon::cpu {

// Cache positions whose scores are held at once.
inline constexpr int64_t kPositions = 128;
static_assert(kPositions <= kTileUnits);

// Sizes that all tiles of one call share. A tile is the query rows of some tokens with the heads
// that read one kv head: row = token * group + head within the group.
struct AttentionSizes {
  int64_t group;  // query heads of one kv head
  int64_t rows;   // of a full tile
  int64_t head_dim;
  int64_t v_pitch;   // head_dim, padded to whole tile columns
  int64_t k_blocks;  // of kTileUnits dims
};
AttentionSizes attention_sizes(const ops::PagedAttention& op, const GemmKernels& gemm);

// Scratch memory of one thread.
struct AttentionBuffers {
  float* q;           // [k_blocks, rows, kTilePitch]
  float* k;           // [kPositions / columns, kTileUnits, columns]
  float* v;           // [kPositions, v_pitch]
  float* scores;      // [rows, kTilePitch]
  float* out;         // [rows, v_pitch]
  float *top, *sums;  // [rows]: largest score so far, sum of exp(score - top)
};
AttentionBuffers take_attention_buffers(const AttentionSizes& sizes, Workspace& workspace);

struct QueryTile {
  int32_t seq, first_token, tokens;
};

// One tile over a range of positions, with the online softmax of flash attention: the result is
// out / sums, and parts of one tile merge by their tops.
class AttentionTile {
 public:
  AttentionTile(const ops::PagedAttention& op, const Kernels& kernels, const AttentionSizes& sizes,
                const RaggedBatch& batch, const RowAccess& q, const AttentionBuffers& buffers,
                const QueryTile& tile, int64_t kv_head);

  // Positions that any row of the tile sees.
  int64_t begin() const { return seen_begin(0); }
  int64_t end() const { return position_ + tile_.tokens; }
  int64_t rows() const { return rows_; }
  void attend(int64_t begin, int64_t end);

 private:
  int64_t position_of(int64_t row) const { return position_ + row / sizes_.group; }
  int64_t seen_begin(int64_t row) const {
    return op_.window > 0 ? std::max<int64_t>(0, position_of(row) - op_.window + 1) : 0;
  }
  void load_queries(const RowAccess& q, int64_t first_head);
  int64_t find_rows(int part, int64_t begin, int64_t end, const void** rows) const;
  void score_directly(int64_t count);
  void score_packed(int64_t count);
  void update_softmax(int64_t begin, int64_t count);
  void add_values_directly(int64_t count, int64_t next_count);
  void add_values_packed(int64_t count);

  const ops::PagedAttention& op_;
  const Kernels& kernels_;
  const AttentionSizes& sizes_;
  const RaggedBatch& batch_;
  const AttentionBuffers& buffers_;
  QueryTile tile_;
  int64_t kv_head_, rows_, position_, q_pitch_;
  // Few rows read K and V as they lie; more are worth packing them.
  bool direct_;
  // Of the positions at hand; of K also those that come next.
  const void* k_rows_[kPositions];
  const void* v_rows_[kPositions];
  const void* next_k_rows_[kPositions];
};

}  // namespace tenon::cpu
