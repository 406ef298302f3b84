#include <algorithm>
#include <atomic>
#include <cstring>

#include "backends/cpu/kernels/quantised_linear.h"
#include "base/thread_pool.h"

namespace tenon::cpu {
namespace {

// Rows of x held as codes: so many that they stay in L2 beside a panel.
constexpr int64_t kMostRows = 256, kMostRowBytes = 768 * 1024;
// Columns of y that a thread finishes at once.
constexpr int64_t kPanelBlock = 4, kPitch = kPanelBlock * kPanelRows;
// Inputs of a panel of 4-bit codes unpacked at once: 16 KiB, in L1. A multiple of all groups.
constexpr int64_t kUnpacked = 512;
constexpr int64_t kMinPanelBytes = 16 * 1024;
constexpr int64_t kLineBytes = 64;

int64_t row_block(int64_t m, int64_t pitch) {
  int64_t fitting = std::clamp<int64_t>(kMostRowBytes / pitch, 12, kMostRows);
  return std::min(m, fitting / 12 * 12 + (fitting < 12 ? 12 : 0));
}

// Not a multiple of 4 KiB, so that rows of a tile fall into different cache sets.
int64_t pitch_of(const PanelSizes& sizes) {
  return sizes.inputs + (sizes.inputs % 1024 == 0 ? 64 : 0);
}

struct Buffers {
  int8_t* x;          // [row_block, pitch]
  int32_t* sums;      // [row_block, groups]
  float* scales;      // [row_block]
  float* rows;        // [threads, inputs], x in f32
  float* c;           // [threads, row_block, kPitch]
  uint8_t* unpacked;  // [threads, kUnpacked, 32]
};

Buffers take_buffers(const LinearSizes& sizes, const PanelSizes& panels, Workspace& workspace) {
  int64_t threads = process_thread_pool().size(), block = row_block(sizes.m, pitch_of(panels));
  return {.x = workspace.take<int8_t>(block * pitch_of(panels)),
          .sums = workspace.take<int32_t>(block * panels.groups),
          .scales = workspace.take<float>(block),
          .rows = workspace.take<float>(threads * panels.inputs),
          .c = workspace.take<float>(threads * block * kPitch),
          .unpacked = workspace.take<uint8_t>(threads * kUnpacked * kPanelRows)};
}

// One pass over a block of rows of x.
class RowBlock {
 public:
  RowBlock(const LinearCall& call, const PanelWeight& weight, const RowKernels& rows,
           const Int8Kernels& int8, const Buffers& buffers, int64_t first, int64_t count)
      : call_(call),
        weight_(weight),
        sizes_(weight.sizes),
        rows_(rows),
        int8_(int8),
        buffers_(buffers),
        pitch_(pitch_of(sizes_)),
        first_(first),
        count_(count) {}

  void run() {
    ThreadPool& pool = process_thread_pool();
    int64_t blocks = ceil_div(sizes_.panels, kPanelBlock);
    if (sizes_.panels * weight_.panel_bytes() * count_ < kMinPanelBytes * pool.size()) {
      quantise_rows(0, 0, count_);
      for (int64_t block = 0; block < blocks; ++block) finish_block(0, block);
      return;
    }
    pool.run([&](int thread) {
      int64_t begin = count_ * thread / pool.size(), end = count_ * (thread + 1) / pool.size();
      quantise_rows(thread, begin, end);
    });
    // Runs of blocks are taken one by one, so that a thread that another process disturbs does not
    // hold up the rest.
    int64_t run = count_ > int8_.max_rows ? 1 : std::max<int64_t>(1, blocks / (8 * pool.size()));
    std::atomic<int64_t> next{0};
    pool.run([&](int thread) {
      for (int64_t at = next.fetch_add(run); at < blocks; at = next.fetch_add(run)) {
        for (int64_t block = at; block < std::min(blocks, at + run); ++block)
          finish_block(thread, block);
      }
    });
  }

 private:
  void quantise_rows(int thread, int64_t begin, int64_t end) const {
    float* row = buffers_.rows + thread * sizes_.inputs;
    for (int64_t i = begin; i < end; ++i) {
      rows_.load(call_.x.dtype(), call_.x.at(first_ + i, 0), call_.k, row);
      std::fill(row + call_.k, row + sizes_.inputs, 0.0f);
      buffers_.scales[i] =
          int8_.quantise_row(row, sizes_.inputs, sizes_.group, buffers_.x + i * pitch_,
                             buffers_.sums + i * sizes_.groups);
    }
  }

  void finish_block(int thread, int64_t block) const {
    float* c = buffers_.c + thread * count_ * kPitch;
    int64_t begin = block * kPanelBlock, end = std::min(sizes_.panels, begin + kPanelBlock);
    for (int64_t panel = begin; panel < end; ++panel) {
      float* to = c + (panel - begin) * kPanelRows;
      if (weight_.packed && count_ > int8_.max_rows) {
        multiply_unpacked(thread, panel, to);
      } else {
        multiply(panel, to);
      }
    }
    int64_t column = begin * kPanelRows, columns = std::min(call_.n, end * kPanelRows) - column;
    for (int64_t i = 0; i < count_; ++i) {
      rows_.scale(c + i * kPitch, columns, buffers_.scales[i]);
      finish_row(rows_, call_, first_ + i, column, columns, c + i * kPitch);
    }
  }

  // Calls f(first row, rows, number of the tile, tiles). Even tiles: 16 rows are 8 + 8.
  template <class Function>
  void for_tiles(Function f) const {
    int64_t tiles = ceil_div(count_, int8_.max_rows);
    for (int64_t tile = 0; tile < tiles; ++tile) {
      int64_t row = count_ * tile / tiles, next = count_ * (tile + 1) / tiles;
      f(row, static_cast<int>(next - row), tile, tiles);
    }
  }

  Int8Tile tile_of(int64_t row, int rows, float* c) const {
    return {.rows = rows,
            .x = buffers_.x + row * pitch_,
            .x_pitch = pitch_,
            .sums = buffers_.sums + row * sizes_.groups,
            .sums_pitch = sizes_.groups,
            .codes = nullptr,
            .packed = weight_.packed,
            .scales = {},
            .c = c + row * kPitch,
            .c_pitch = kPitch,
            .accumulate = false,
            .fetch = nullptr,
            .fetch_lines = 0};
  }

  // What is read next is fetched by the tiles in equal parts: of few rows, the panel's own bytes
  // some way ahead.
  void multiply(int64_t panel, float* c) const {
    for_tiles([&](int64_t row, int rows, int64_t tile, int64_t tiles) {
      Int8Tile call = tile_of(row, rows, c);
      call.codes = weight_.panel(panel);
      call.scales = weight_.scales_of(panel, 0, sizes_.groups);
      int64_t lines = 8 * kPanelRows * kUnitInputs / kLineBytes / (weight_.packed ? 2 : 1);
      int64_t part = ceil_div(lines, tiles);
      int64_t ahead = tiles == 1 ? kStreamAhead : weight_.panel_bytes();
      call.fetch = weight_.panel(panel) + ahead + tile * part * (sizes_.units / 8) * kLineBytes;
      call.fetch_lines = part;
      int8_.tile(call);
    });
  }

  void multiply_unpacked(int thread, int64_t panel, float* c) const {
    uint8_t* unpacked = buffers_.unpacked + thread * kUnpacked * kPanelRows;
    for (int64_t first = 0; first < sizes_.inputs; first += kUnpacked) {
      int64_t inputs = std::min(kUnpacked, sizes_.inputs - first);
      int64_t group = std::min(sizes_.group, inputs), index = first / sizes_.group;
      int8_.unpack(weight_.panel(panel) + first * kPanelRows / 2, inputs / kUnitInputs, unpacked);
      for_tiles([&](int64_t row, int rows, int64_t tile, int64_t tiles) {
        Int8Tile call = tile_of(row, rows, c);
        call.x += first;
        call.sums += index;
        call.codes = unpacked;
        call.packed = false;
        call.scales = weight_.scales_of(panel, index, inputs / group);
        call.accumulate = first > 0;
        int64_t part = ceil_div(8 * kPanelRows * kUnitInputs / kLineBytes / 2, tiles);
        call.fetch = weight_.panel(panel) + (first + kUnpacked) * kPanelRows / 2 +
                     tile * part * (inputs / 32) * kLineBytes;
        call.fetch_lines = part;
        int8_.tile(call);
      });
    }
  }

  static constexpr int64_t kStreamAhead = 4096;

  const LinearCall& call_;
  const PanelWeight& weight_;
  const PanelSizes& sizes_;
  const RowKernels& rows_;
  const Int8Kernels& int8_;
  const Buffers& buffers_;
  int64_t pitch_, first_, count_;
};

}  // namespace

int64_t int8_workspace(const LinearSizes& sizes, const PanelSizes& panels) {
  Workspace workspace;
  take_buffers(sizes, panels, workspace);
  return workspace.needed();
}

void run_int8(const LinearCall& call, const PanelWeight& weight, const RowKernels& rows,
              const Int8Kernels& int8, Workspace workspace) {
  LinearSizes sizes = {.m = call.m, .n = call.n, .k = call.k};
  Buffers buffers = take_buffers(sizes, weight.sizes, workspace);
  int64_t block = row_block(call.m, pitch_of(weight.sizes));
  for (int64_t first = 0; first < call.m; first += block) {
    RowBlock(call, weight, rows, int8, buffers, first, std::min(block, call.m - first)).run();
  }
}

}  // namespace tenon::cpu
