#include <algorithm>
#include <atomic>

#include "backends/cpu/kernels/linear.h"
#include "base/thread_pool.h"

namespace tenon::cpu {
namespace {

// Rows of x held packed: a block of kTileUnits of them takes half of a 1 MB L2.
constexpr int64_t kRowBlock = 384;
// Columns of y (rows of the weight) that one thread finishes at once: all rows of x are read again
// for each, so as many as their sums leave room for in L2, and as give every thread several turns.
constexpr int64_t kLeastColumns = 64, kMostColumns = 256, kMostSumBytes = 128 * 1024;
constexpr int64_t kTurns = 8;
constexpr int64_t kLineBytes = 64;

struct Plan {
  int64_t row_block, k_block, k_blocks, column_block;
};

Plan plan_of(const LinearSizes& sizes, const GemmKernels& gemm) {
  int64_t k_block = kTileUnits * gemm.elements_per_unit;
  int64_t rows = std::min(sizes.m, kRowBlock);
  int64_t turns = kTurns * process_thread_pool().size();
  int64_t columns = std::min(kMostSumBytes / (4 * std::max<int64_t>(1, rows)), sizes.n / turns);
  columns = std::clamp(columns, kLeastColumns, kMostColumns) / kLeastColumns * kLeastColumns;
  return {.row_block = rows,
          .k_block = k_block,
          .k_blocks = std::max<int64_t>(1, ceil_div(sizes.k, k_block)),
          .column_block = columns};
}

struct Buffers {
  float* a;  // [k_blocks, row_block, kTilePitch]
  float* b;  // [threads, GemmKernels::units_at_once, columns]
  float* c;  // [threads, row_block, column_block]
};

Buffers take_buffers(const Plan& plan, const GemmKernels& gemm, Workspace& workspace) {
  int64_t threads = process_thread_pool().size();
  return {.a = workspace.take<float>(plan.k_blocks * plan.row_block * kTilePitch),
          .b = workspace.take<float>(threads * gemm.units_at_once * gemm.columns),
          .c = workspace.take<float>(threads * plan.row_block * plan.column_block)};
}

// A part of the weight that is packed at once: its first column of y and element of k.
struct Piece {
  int64_t column = 0, first = 0;
};

// One pass over a block of rows of x.
class RowBlock {
 public:
  RowBlock(const LinearCall& call, const RowKernels& rows, const GemmKernels& gemm,
           const Plan& plan, const Buffers& buffers, int64_t first)
      : call_(call),
        rows_(rows),
        gemm_(gemm),
        plan_(plan),
        buffers_(buffers),
        first_(first),
        count_(std::min(plan.row_block, call.m - first)) {}

  void run() {
    process_thread_pool().parallel_for(count_, 8,
                                       [&](int64_t begin, int64_t end) { pack_rows(begin, end); });
    // Blocks of columns are taken one by one, so that a thread that another process disturbs does
    // not hold up the rest.
    std::atomic<int64_t> next{0};
    process_thread_pool().run([&](int thread) {
      // The block after this one is taken early, so that its weights can be fetched meanwhile.
      int64_t column = next.fetch_add(1) * plan_.column_block;
      while (column < call_.n) {
        int64_t after = next.fetch_add(1) * plan_.column_block;
        finish_columns(thread, column, after);
        column = after;
      }
    });
  }

 private:
  int64_t piece_elements() const { return gemm_.units_at_once * gemm_.elements_per_unit; }
  int64_t elements_of(const Piece& piece) const {
    return std::min(piece_elements(), call_.k - piece.first);
  }
  float* packed_a(int64_t element, int64_t row) const {
    int64_t block = element / plan_.k_block, unit = element % plan_.k_block;
    return buffers_.a + (block * plan_.row_block + row) * kTilePitch +
           unit / gemm_.elements_per_unit;
  }

  void pack_rows(int64_t begin, int64_t end) const {
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t block = 0; block < plan_.k_blocks; ++block) {
        int64_t first = block * plan_.k_block;
        gemm_.pack_a(call_.x.dtype(), call_.x.at(first_ + row, first),
                     std::min(plan_.k_block, call_.k - first), packed_a(first, row));
      }
    }
  }

  // Columns of a piece; 0 beyond the last.
  int64_t columns_at(int64_t column) const {
    return std::clamp<int64_t>(call_.n - column, 0, gemm_.columns);
  }

  // What a piece is read from, as rows of `fetch_bytes` for every 16 units. Panels lie in one
  // piece: their bytes count as rows of one line each.
  int64_t weight_rows(const Piece& piece, const void** rows) const {
    if (columns_at(piece.column) == 0) return 0;
    if (call_.panels) {
      const uint8_t* from = panel_at(piece);
      int64_t steps = ceil_div(gemm_.units_at_once, 16), count = 0;
      int64_t bytes = elements_of(piece) * kPanelRows / 2;
      for (int64_t at = 0; at < bytes; at += steps * kLineBytes) rows[count++] = from + at;
      return count;
    }
    int64_t n = columns_at(piece.column);
    for (int64_t i = 0; i < n; ++i) rows[i] = call_.weight.at(piece.column + i, piece.first);
    return n;
  }

  const uint8_t* panel_at(const Piece& piece) const {
    return call_.panels->panel(piece.column / kPanelRows) + piece.first * kPanelRows / 2;
  }

  void unpack_panel(const Piece& piece, float* b) const {
    const PanelWeight& weight = *call_.panels;
    int64_t inputs = std::min(piece_elements(), weight.sizes.inputs - piece.first);
    int64_t group = std::min(weight.sizes.group, inputs);
    PanelScales scales = weight.scales_of(piece.column / kPanelRows,
                                          piece.first / weight.sizes.group, inputs / group);
    scales.units = group / kUnitInputs;
    call_.codes4->unpack(panel_at(piece), piece.column % kPanelRows, scales, b);
  }

  void pack_weight(const Piece& piece, float* b) const {
    if (call_.panels) return unpack_panel(piece, b);
    const void* from[kMostTileColumns];
    int64_t n = weight_rows(piece, from);
    gemm_.pack_b(call_.weight.dtype(), from, n, elements_of(piece), b);
  }

  // The piece that follows where the next columns are those from `after` on. All columns meet one
  // block of rows of x before the next: it stays in L2.
  Piece next_of(Piece piece, int64_t column, int64_t after) const {
    int64_t block = piece.first / plan_.k_block,
            last = std::min(call_.n, column + plan_.column_block);
    piece.first += piece_elements();
    if (piece.first < std::min(call_.k, (block + 1) * plan_.k_block)) return piece;
    piece.column += gemm_.columns;
    if (piece.column < last) return {piece.column, block * plan_.k_block};
    return block + 1 < plan_.k_blocks ? Piece{column, (block + 1) * plan_.k_block}
                                      : Piece{after, 0};
  }

  // `after`: the columns this thread does next.
  void finish_columns(int thread, int64_t column, int64_t after) const {
    float* b = buffers_.b + thread * gemm_.units_at_once * gemm_.columns;
    float* c = buffers_.c + thread * plan_.row_block * plan_.column_block;
    for (Piece piece = {column, 0}; piece.column != after || piece.first != 0;) {
      Piece next = next_of(piece, column, after);
      const void* fetched[kMostTileColumns];
      int64_t count = weight_rows(next, fetched);
      pack_weight(piece, b);
      multiply_piece(piece, b, c + piece.column - column, {fetched, count, fetch_bytes()});
      piece = next;
    }
    int64_t columns = std::min(plan_.column_block, call_.n - column);
    for (int64_t row = 0; row < count_; ++row) {
      finish_row(rows_, call_, first_ + row, column, columns, c + row * plan_.column_block);
    }
  }

  int64_t fetch_bytes() const {
    if (call_.panels) return kLineBytes;
    return 16 * gemm_.elements_per_unit * call_.weight.element_bytes();
  }

  // All tiles of a piece; each fetches an equal part of `next`.
  void multiply_piece(const Piece& piece, const float* b, float* c, const TileFetch& next) const {
    int64_t units = ceil_div(elements_of(piece), gemm_.elements_per_unit);
    int64_t tiles = ceil_div(count_, gemm_.max_rows);
    for (int64_t tile = 0; tile < tiles; ++tile) {
      // Even tiles: 16 rows are 8 + 8 and not 12 + 4.
      int64_t row = count_ * tile / tiles, height = count_ * (tile + 1) / tiles - row;
      int64_t begin = next.count * tile / tiles, end = next.count * (tile + 1) / tiles;
      gemm_.tile(static_cast<int>(height), units, packed_a(piece.first, row), b, gemm_.columns,
                 c + row * plan_.column_block, plan_.column_block, piece.first > 0,
                 {next.rows + begin, end - begin, next.bytes});
    }
  }

  const LinearCall& call_;
  const RowKernels& rows_;
  const GemmKernels& gemm_;
  const Plan& plan_;
  const Buffers& buffers_;
  int64_t first_, count_;
};

}  // namespace

int64_t gemm_workspace(const LinearSizes& sizes, const GemmKernels& gemm) {
  Workspace workspace;
  take_buffers(plan_of(sizes, gemm), gemm, workspace);
  return workspace.needed();
}

void run_gemm(const LinearCall& call, const RowKernels& rows, const GemmKernels& gemm,
              Workspace workspace) {
  Plan plan = plan_of({.m = call.m, .n = call.n, .k = call.k}, gemm);
  Buffers buffers = take_buffers(plan, gemm, workspace);
  for (int64_t first = 0; first < call.m; first += plan.row_block) {
    RowBlock(call, rows, gemm, plan, buffers, first).run();
  }
}

}  // namespace tenon::cpu
