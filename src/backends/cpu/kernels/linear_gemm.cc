#include <algorithm>
#include <atomic>

#include "backends/cpu/kernels/linear.h"
#include "base/thread_pool.h"

namespace tenon::cpu {
namespace {

// Rows of x held packed: a block of kTileUnits of them takes half of a 1 MB L2. CPUs whose tiles
// take more have one of 2 MB, and packing the weight wants more rows there.
constexpr int64_t kRowBlock = 384;
// Columns of y (rows of the weight) that one thread packs and finishes at once.
constexpr int64_t kColumnBlock = 64;
constexpr int64_t kLineBytes = 64;

struct Plan {
  int64_t row_block, k_block, k_blocks;
};

Plan plan_of(const LinearSizes& sizes, const GemmKernels& gemm) {
  int64_t k_block = kTileUnits * gemm.elements_per_unit;
  return {.row_block = std::min(sizes.m, std::max<int64_t>(kRowBlock, gemm.max_rows)),
          .k_block = k_block,
          .k_blocks = std::max<int64_t>(1, ceil_div(sizes.k, k_block))};
}

struct Buffers {
  float* a;  // [k_blocks, row_block, kTilePitch]
  float* b;  // [threads, kColumnBlock / columns, kTileUnits, columns]
  float* c;  // [threads, row_block, kColumnBlock]
};

constexpr int64_t kSizeOfB = kColumnBlock * kTileUnits;

Buffers take_buffers(const Plan& plan, Workspace& workspace) {
  int64_t threads = process_thread_pool().size();
  return {.a = workspace.take<float>(plan.k_blocks * plan.row_block * kTilePitch),
          .b = workspace.take<float>(threads * kSizeOfB),
          .c = workspace.take<float>(threads * plan.row_block * kColumnBlock)};
}

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
      int64_t column = next.fetch_add(1) * kColumnBlock;
      while (column < call_.n) {
        int64_t after = next.fetch_add(1) * kColumnBlock;
        finish_columns(thread, column, after);
        column = after;
      }
    });
  }

 private:
  int64_t elements_of(int64_t block) const {
    return std::min(plan_.k_block, call_.k - block * plan_.k_block);
  }
  float* packed_a(int64_t block, int64_t row) const {
    return buffers_.a + (block * plan_.row_block + row) * kTilePitch;
  }

  void pack_rows(int64_t begin, int64_t end) const {
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t block = 0; block < plan_.k_blocks; ++block) {
        gemm_.pack_a(call_.x.dtype(), call_.x.at(first_ + row, block * plan_.k_block),
                     elements_of(block), packed_a(block, row));
      }
    }
  }

  // Columns of y, or rows of the weight, from `column` on; 0 beyond the last.
  int64_t columns_at(int64_t column) const {
    return std::clamp<int64_t>(call_.n - column, 0, kColumnBlock);
  }

  // Panels lie in one piece: their bytes count as rows of one line for every 16 units.
  int64_t panel_rows(int64_t column, int64_t block, const void** rows) const {
    int64_t panels = ceil_div(columns_at(column), kPanelRows), count = 0;
    int64_t bytes = plan_.k_block * kPanelRows / 2, lines = plan_.k_block / 16 * kLineBytes;
    for (int64_t i = 0; i < panels; ++i) {
      const uint8_t* from = call_.panels->panel(column / kPanelRows + i) + block * bytes;
      for (int64_t at = 0; at < bytes; at += lines) rows[count++] = from + at;
    }
    return count;
  }

  int64_t weight_rows(int64_t column, int64_t block, const void** rows) const {
    if (call_.panels) return panel_rows(column, block, rows);
    int64_t n = columns_at(column);
    for (int64_t i = 0; i < n; ++i) rows[i] = call_.weight.at(column + i, block * plan_.k_block);
    return n;
  }

  void unpack_panels(int64_t column, int64_t block, float* b) const {
    const PanelWeight& weight = *call_.panels;
    int64_t first = block * plan_.k_block,
            inputs = std::min(plan_.k_block, weight.sizes.inputs - first);
    int64_t group = std::min(weight.sizes.group, inputs), index = first / weight.sizes.group;
    for (int64_t i = 0; i < columns_at(column); i += gemm_.columns) {
      int64_t panel = (column + i) / kPanelRows;
      PanelScales scales = weight.scales_of(panel, index, inputs / group);
      scales.units = group / kUnitInputs;
      call_.codes4->unpack(weight.panel(panel) + first * kPanelRows / 2, (column + i) % kPanelRows,
                           scales, b + i * kTileUnits);
    }
  }

  void pack_weight(int64_t column, int64_t block, float* b) const {
    if (call_.panels) return unpack_panels(column, block, b);
    const void* from[kColumnBlock];
    int64_t n = weight_rows(column, block, from);
    for (int64_t i = 0; i < n; i += gemm_.columns) {
      gemm_.pack_b(call_.weight.dtype(), from + i, std::min<int64_t>(gemm_.columns, n - i),
                   elements_of(block), b + i * kTileUnits);
    }
  }

  // `after`: the columns this thread does next.
  void finish_columns(int thread, int64_t column, int64_t after) const {
    float* b = buffers_.b + thread * kSizeOfB;
    float* c = buffers_.c + thread * plan_.row_block * kColumnBlock;
    for (int64_t block = 0; block < plan_.k_blocks; ++block) {
      const void* fetched[kColumnBlock];
      bool last = block + 1 == plan_.k_blocks;
      int64_t n = last ? weight_rows(after, 0, fetched) : weight_rows(column, block + 1, fetched);
      pack_weight(column, block, b);
      multiply_block(block, columns_at(column), b, c, {fetched, n, fetch_bytes()});
    }
    for (int64_t row = 0; row < count_; ++row) {
      finish_row(rows_, call_, first_ + row, column, columns_at(column), c + row * kColumnBlock);
    }
  }

  int64_t fetch_bytes() const {
    if (call_.panels) return kLineBytes;
    return 16 * gemm_.elements_per_unit * call_.weight.element_bytes();
  }

  // All tiles of one block of k; each fetches an equal part of `next`.
  void multiply_block(int64_t block, int64_t n, const float* b, float* c,
                      const TileFetch& next) const {
    int64_t units = ceil_div(elements_of(block), gemm_.elements_per_unit);
    int64_t tiles = ceil_div(count_, gemm_.max_rows), panels = ceil_div(n, gemm_.columns);
    for (int64_t tile = 0; tile < tiles; ++tile) {
      // Even tiles: 16 rows are 8 + 8 and not 12 + 4.
      int64_t row = count_ * tile / tiles, height = count_ * (tile + 1) / tiles - row;
      for (int64_t panel = 0; panel < panels; ++panel) {
        int64_t part = tile * panels + panel, parts = tiles * panels;
        int64_t begin = next.count * part / parts, end = next.count * (part + 1) / parts;
        int64_t column = panel * gemm_.columns;
        gemm_.tile(static_cast<int>(height), units, packed_a(block, row), b + column * kTileUnits,
                   gemm_.columns, c + row * kColumnBlock + column, kColumnBlock, block > 0,
                   {next.rows + begin, end - begin, next.bytes});
      }
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
  take_buffers(plan_of(sizes, gemm), workspace);
  return workspace.needed();
}

void run_gemm(const LinearCall& call, const RowKernels& rows, const GemmKernels& gemm,
              Workspace workspace) {
  Plan plan = plan_of({.m = call.m, .n = call.n, .k = call.k}, gemm);
  Buffers buffers = take_buffers(plan, workspace);
  for (int64_t first = 0; first < call.m; first += plan.row_block) {
    RowBlock(call, rows, gemm, plan, buffers, first).run();
  }
}

}  // namespace tenon::cpu
