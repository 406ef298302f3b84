#include "backends/cpu/kernels/attention_tile.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace tenon::cpu {
namespace {

// Enough rows that packing K and V is a small part of the work, few enough that the scores of a
// tile stay in L2 with them.
constexpr int64_t kTileRowsWanted = 48;

// Query rows up to which K and V are read as they lie.
constexpr int64_t kMostDirectRows = 8;

}  // namespace

AttentionSizes attention_sizes(const ops::PagedAttention& op, const GemmKernels& gemm) {
  int64_t group = op.heads / op.kv_heads;
  return {.group = group,
          .rows = std::max<int64_t>(1, kTileRowsWanted / group) * group,
          .head_dim = op.head_dim,
          .v_pitch = round_up(op.head_dim, gemm.columns),
          .k_blocks = ceil_div(op.head_dim, kTileUnits)};
}

AttentionBuffers take_attention_buffers(const AttentionSizes& sizes, Workspace& workspace) {
  return {.q = workspace.take<float>(sizes.k_blocks * sizes.rows * kTilePitch),
          .k = workspace.take<float>(kPositions * kTileUnits),
          .v = workspace.take<float>(kPositions * sizes.v_pitch),
          .scores = workspace.take<float>(sizes.rows * kTilePitch),
          .out = workspace.take<float>(sizes.rows * sizes.v_pitch),
          .top = workspace.take<float>(sizes.rows),
          .sums = workspace.take<float>(sizes.rows)};
}

AttentionTile::AttentionTile(const ops::PagedAttention& op, const Kernels& kernels,
                             const AttentionSizes& sizes, const RaggedBatch& batch,
                             const RowAccess& q, const AttentionBuffers& buffers,
                             const QueryTile& tile, int64_t kv_head)
    : op_(op),
      kernels_(kernels),
      sizes_(sizes),
      batch_(batch),
      buffers_(buffers),
      tile_(tile),
      kv_head_(kv_head),
      rows_(tile.tokens * sizes.group),
      position_(batch.first_position(tile.seq) + tile.first_token - batch.first_token(tile.seq)),
      direct_(rows_ <= kMostDirectRows) {
  // The direct product wants its rows whole, the packed one in blocks of kTilePitch.
  q_pitch_ = direct_ ? sizes.k_blocks * kTilePitch : kTilePitch;
  load_queries(q, kv_head * sizes.group);
  std::fill_n(buffers.top, rows_, -std::numeric_limits<float>::infinity());
  std::fill_n(buffers.sums, rows_, 0.0f);
  std::fill_n(buffers.out, rows_ * sizes.v_pitch, 0.0f);
}

void AttentionTile::load_queries(const RowAccess& q, int64_t first_head) {
  int64_t block_dims = direct_ ? q_pitch_ : kTileUnits;
  for (int64_t row = 0; row < rows_; ++row) {
    int64_t token = tile_.first_token + row / sizes_.group;
    int64_t column = (first_head + row % sizes_.group) * sizes_.head_dim;
    for (int64_t dim = 0; dim < sizes_.head_dim; dim += block_dims) {
      int64_t dims = std::min(block_dims, sizes_.head_dim - dim);
      float* to = buffers_.q + dim / block_dims * sizes_.rows * kTilePitch + row * q_pitch_;
      kernels_.rows->load(q.dtype(), q.at(token, column + dim), dims, to);
      kernels_.rows->scale(to, dims, static_cast<float>(op_.scale));
      if (direct_) std::fill(to + dims, to + round_up(dims, kGemvPadding), 0.0f);
    }
  }
}

// Starts of the rows of K (part 0) or V (part 1) of up to kPositions positions; returns how many.
int64_t AttentionTile::find_rows(int part, int64_t begin, int64_t end, const void** rows) const {
  int64_t count = std::clamp<int64_t>(end - begin, 0, kPositions);
  batch_.find_rows(tile_.seq, begin, count, part, kv_head_, rows);
  return count;
}

void AttentionTile::attend(int64_t begin, int64_t end) {
  int64_t next_count = find_rows(0, begin, end, next_k_rows_);
  for (int64_t first = begin; first < end; first += kPositions) {
    int64_t count = next_count;
    std::copy_n(next_k_rows_, count, k_rows_);
    find_rows(1, first, end, v_rows_);
    next_count = find_rows(0, first + kPositions, end, next_k_rows_);
    direct_ ? score_directly(count) : score_packed(count);
    update_softmax(first, count);
    direct_ ? add_values_directly(count, next_count) : add_values_packed(count);
  }
}

void AttentionTile::score_directly(int64_t count) {
  int64_t row_bytes = dtype_bytes(batch_.cache.dtype, sizes_.head_dim);
  kernels_.attention->score_rows(batch_.cache.dtype, k_rows_, count, sizes_.head_dim, rows_,
                                 buffers_.q, q_pitch_, buffers_.scores, kTilePitch,
                                 {v_rows_, count, row_bytes});
}

void AttentionTile::score_packed(int64_t count) {
  const GemmKernels& gemm = *kernels_.gemm;
  int64_t element_bytes = dtype_bits(batch_.cache.dtype) / 8;
  for (int64_t block = 0; block < sizes_.k_blocks; ++block) {
    int64_t dim = block * kTileUnits, dims = std::min(kTileUnits, sizes_.head_dim - dim);
    const void* from[kPositions];
    for (int64_t i = 0; i < count; ++i) {
      from[i] = static_cast<const std::byte*>(k_rows_[i]) + dim * element_bytes;
    }
    for (int64_t i = 0; i < count; i += gemm.columns) {
      gemm.pack_b(batch_.cache.dtype, from + i, std::min<int64_t>(gemm.columns, count - i), dims,
                  buffers_.k + i * kTileUnits);
    }
    const float* q = buffers_.q + block * sizes_.rows * kTilePitch;
    for (int64_t row = 0; row < rows_; row += gemm.max_rows) {
      int height = static_cast<int>(std::min<int64_t>(gemm.max_rows, rows_ - row));
      for (int64_t i = 0; i < count; i += gemm.columns) {
        gemm.tile(height, dims, q + row * kTilePitch, buffers_.k + i * kTileUnits, gemm.columns,
                  buffers_.scores + row * kTilePitch + i, kTilePitch, block > 0, {});
      }
    }
  }
}

void AttentionTile::update_softmax(int64_t begin, int64_t count) {
  const RowKernels& rows = *kernels_.rows;
  for (int64_t row = 0; row < rows_; ++row) {
    float* scores = buffers_.scores + row * kTilePitch;
    int64_t from = std::clamp<int64_t>(seen_begin(row) - begin, 0, count);
    int64_t to = std::clamp<int64_t>(position_of(row) + 1 - begin, from, count);
    std::fill(scores, scores + from, 0.0f);
    std::fill(scores + to, scores + count, 0.0f);
    if (from == to) continue;
    if (op_.softcap > 0) {
      rows.softcap(scores + from, to - from, static_cast<float>(op_.softcap));
    }
    float old_top = buffers_.top[row];
    float top = std::max(old_top, rows.largest(scores + from, to - from));
    float sum = rows.exp_sum(scores + from, to - from, top);
    if (top != old_top) {
      float factor = std::exp(old_top - top);
      rows.scale(buffers_.out + row * sizes_.v_pitch, sizes_.head_dim, factor);
      buffers_.sums[row] *= factor;
    }
    buffers_.top[row] = top;
    buffers_.sums[row] += sum;
  }
}

void AttentionTile::add_values_directly(int64_t count, int64_t next_count) {
  int64_t row_bytes = dtype_bytes(batch_.cache.dtype, sizes_.head_dim);
  kernels_.attention->weigh_rows(batch_.cache.dtype, v_rows_, count, sizes_.head_dim, rows_,
                                 buffers_.scores, kTilePitch, buffers_.out, sizes_.v_pitch,
                                 {next_k_rows_, next_count, row_bytes});
}

void AttentionTile::add_values_packed(int64_t count) {
  const GemmKernels& gemm = *kernels_.gemm;
  for (int64_t i = 0; i < count; ++i) {
    float* to = buffers_.v + i * sizes_.v_pitch;
    kernels_.rows->load(batch_.cache.dtype, v_rows_[i], sizes_.head_dim, to);
    std::fill(to + sizes_.head_dim, to + sizes_.v_pitch, 0.0f);
  }
  for (int64_t row = 0; row < rows_; row += gemm.max_rows) {
    int height = static_cast<int>(std::min<int64_t>(gemm.max_rows, rows_ - row));
    for (int64_t column = 0; column < sizes_.v_pitch; column += gemm.columns) {
      gemm.tile(height, count, buffers_.scores + row * kTilePitch, buffers_.v + column,
                sizes_.v_pitch, buffers_.out + row * sizes_.v_pitch + column, sizes_.v_pitch, true,
                {});
    }
  }
}

}  // namespace tenon::cpu
