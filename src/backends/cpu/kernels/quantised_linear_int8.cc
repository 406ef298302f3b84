#include <algorithm>
#include <atomic>
#include <cstring>

#include "backends/cpu/kernels/quantised_linear.h"
#include "base/thread_pool.h"

namespace tenon::cpu {
namespace {

// Rows of x held as codes: so many that kInputsAtOnce of each stay in L2 beside their sums. All
// rows read every weight once more.
constexpr int64_t kMostRows = 384, kMostRowBytes = 8 << 20;
constexpr int64_t kTileRows = 96;  // a multiple of the rows of all tiles
// Columns of y that a thread finishes at once.
constexpr int64_t kPanelBlock = 4, kPitch = kPanelBlock * kPanelRows;
// Inputs of a panel that are met by all rows before the next, as 8-bit codes: 32 KiB, in L1. A
// multiple of all groups.
constexpr int64_t kInputsAtOnce = 1024;
constexpr int64_t kMinPanelBytes = 16 * 1024;
// Panels that a thread streams at once, and rows of x that are few enough for that.
constexpr int64_t kLeastStripe = 4, kMostStripe = 64, kMostStreamRows = 8;
// Of the weight, between two epilogues of few rows.
constexpr int64_t kStripeBytes = 512 * 1024;
constexpr int64_t kLineBytes = 64;
// Numbers of x that are rounded sooner than another thread is woken for half of them.
constexpr int64_t kRoundAlone = 16 * 1024;

int64_t row_block(int64_t m, int64_t pitch) {
  int64_t fitting = std::clamp<int64_t>(kMostRowBytes / pitch, kTileRows, kMostRows);
  return std::min(m, fitting / kTileRows * kTileRows);
}

// Bytes of one row of x in all blocks of inputs.
int64_t pitch_of(const PanelSizes& sizes) {
  return ceil_div(sizes.inputs, kInt8Block) * kInt8Pitch;
}

struct Buffers {
  int8_t* x;          // [blocks of inputs, row_block, kInt8Pitch]
  int32_t* offsets;   // [row_block, groups], of Int8Tile
  float* scales;      // [row_block]
  float* rows;        // [threads, inputs], x in f32
  float* c;           // [threads, row_block, kPitch]
  uint8_t* unpacked;  // [threads, kInputsAtOnce, 32]
};

Buffers take_buffers(const LinearSizes& sizes, const PanelSizes& panels, Workspace& workspace) {
  int64_t threads = process_thread_pool().size();
  int64_t block = row_block(sizes.m, pitch_of(panels));
  return {.x = workspace.take<int8_t>(block * pitch_of(panels)),
          .offsets = workspace.take<int32_t>(block * panels.groups),
          .scales = workspace.take<float>(block),
          .rows = workspace.take<float>(threads * panels.inputs),
          .c = workspace.take<float>(threads * block * kPitch),
          .unpacked = workspace.take<uint8_t>(threads * kInputsAtOnce * kPanelRows)};
}

// One pass over a block of rows of x.
class RowBlock {
 public:
  RowBlock(const LinearCall& call, const PanelWeight& weight, const Kernels& kernels,
           const Buffers& buffers, int64_t first, int64_t count)
      : call_(call),
        weight_(weight),
        sizes_(weight.sizes),
        rows_(*kernels.rows),
        int8_(*kernels.int8),
        buffers_(buffers),
        first_(first),
        count_(count) {}

  void run() {
    ThreadPool& pool = process_thread_pool();
    int64_t blocks = ceil_div(sizes_.panels, kPanelBlock);
    bool serial = sizes_.panels * weight_.panel_bytes() * count_ < kMinPanelBytes * pool.size();
    if (serial || count_ * sizes_.inputs <= kRoundAlone) {
      quantise_rows(0, 0, count_);
    } else {
      pool.run([&](int thread) {
        int64_t begin = count_ * thread / pool.size(), end = count_ * (thread + 1) / pool.size();
        quantise_rows(thread, begin, end);
      });
    }
    if (streams()) return run_streams(serial ? 1 : pool.size());
    if (serial) {
      for (int64_t block = 0; block < blocks; ++block) finish_block(0, block);
      return;
    }
    // Blocks are taken one by one, so that a thread that another process disturbs does not hold up
    // the rest.
    std::atomic<int64_t> next{0};
    pool.run([&](int thread) {
      for (int64_t block; (block = next.fetch_add(1)) < blocks;) finish_block(thread, block);
    });
  }

 private:
  void quantise_rows(int thread, int64_t begin, int64_t end) const {
    float* row = buffers_.rows + thread * sizes_.inputs;
    // Where zeros are stored they come in later.
    int shift = weight_.packed && streams() ? 0 : int8_.shift;
    int32_t factor = weight_.scales.zeros ? -1 : shift - weight_.scales.middle;
    for (int64_t i = begin; i < end; ++i) {
      rows_.load(call_.x.dtype(), call_.x.at(first_ + i, 0), call_.k, row);
      std::fill(row + call_.k, row + sizes_.inputs, 0.0f);
      float inverse;
      buffers_.scales[i] = int8_.scale_row(row, sizes_.inputs, &inverse);
      int32_t* offsets = buffers_.offsets + i * sizes_.groups;
      std::fill(offsets, offsets + sizes_.groups, 0);
      for (int64_t at = 0; at < sizes_.inputs; at += kInt8Block) {
        int64_t inputs = std::min(kInt8Block, sizes_.inputs - at);
        int8_.round_row(row + at, inputs, std::min(sizes_.group, inputs), inverse, factor,
                        buffers_.x + at / kInt8Block * x_block() + i * kInt8Pitch,
                        offsets + at / sizes_.group);
      }
    }
  }

  void finish_block(int thread, int64_t block) const {
    float* c = buffers_.c + thread * count_ * kPitch;
    int64_t begin = block * kPanelBlock, end = std::min(sizes_.panels, begin + kPanelBlock);
    // Parts of x meet all panels before the next: they stay in L2, where the whole of x may not.
    for (int64_t first = 0; first < sizes_.inputs; first += kInputsAtOnce) {
      for (int64_t panel = begin; panel < end; ++panel)
        multiply(thread, panel, c + (panel - begin) * kPanelRows, first);
    }
    int64_t column = begin * kPanelRows, columns = std::min(call_.n, end * kPanelRows) - column;
    for (int64_t i = 0; i < count_; ++i) {
      finish_row(rows_, call_, first_ + i, column, columns, c + i * kPitch);
    }
  }

  // Few rows take codes as they lie in the plan.
  bool streams() const { return count_ <= std::min<int64_t>(int8_.max_rows, kMostStreamRows); }
  int64_t x_block() const { return count_ * kInt8Pitch; }

  // All rows through a call that says everything but the rows. Even tiles: 16 rows are 8 + 8.
  void run_tiles(Int8Tile& call, int64_t fetch_bytes) const {
    const Int8Tile all = call;
    int64_t most = all.scales.groups > 1 ? int8_.max_grouped_rows : int8_.max_rows;
    int64_t tiles = ceil_div(count_, most), steps = all.scales.groups * all.scales.units / 8;
    // Each tile fetches an equal part of what is read next.
    call.fetch_lines = ceil_div(fetch_bytes, tiles * steps * kLineBytes);
    for (int64_t tile = 0; tile < tiles; ++tile) {
      int64_t row = count_ * tile / tiles, next = count_ * (tile + 1) / tiles;
      call.rows = static_cast<int>(next - row);
      call.x = all.x + row * kInt8Pitch;
      call.x_scales = all.x_scales + row;
      call.offsets = all.offsets + row * all.offsets_pitch;
      call.c = all.c + row * kPitch;
      call.fetch =
          static_cast<const std::byte*>(all.fetch) + tile * call.fetch_lines * steps * kLineBytes;
      int8_.tile(call);
    }
  }

  // Some inputs of a panel with all rows of x, from the first on.
  Int8Tile part_of(int64_t panel, float* c, int64_t first, int64_t inputs) const {
    int64_t group = std::min(sizes_.group, inputs), index = first / sizes_.group;
    Int8Tile call;
    call.x = buffers_.x + first / kInt8Block * x_block();
    call.x_first = first % kInt8Block;
    call.x_block = x_block();
    call.x_scales = buffers_.scales;
    call.offsets = buffers_.offsets + index;
    call.offsets_pitch = sizes_.groups;
    call.packed = weight_.packed;
    call.codes = weight_.panel(panel) + first * kPanelRows / (weight_.packed ? 2 : 1);
    call.scales = weight_.scales_of(panel, index, inputs / group);
    call.scales.units = group / kUnitInputs;
    call.c = c;
    call.c_pitch = kPitch;
    return call;
  }

  // Few rows. Stripes of panels are taken one by one, so that a thread that another process
  // disturbs does not hold up the rest: long ones first, short ones at the end, where all have to
  // be waited for.
  void run_streams(int64_t threads) const {
    auto stripe_of = [&](int64_t left) {
      int64_t share = left * 3 / (4 * threads) / kLeastStripe * kLeastStripe;
      return std::min(left, std::clamp(share, kLeastStripe, kMostStripe));
    };
    std::atomic<int64_t> next{0};
    auto work = [&](int) {
      for (int64_t begin = next.load(std::memory_order_relaxed);;) {
        if (begin >= sizes_.panels) return;
        int64_t panels = stripe_of(sizes_.panels - begin);
        if (!next.compare_exchange_weak(begin, begin + panels, std::memory_order_relaxed)) continue;
        finish_stripe(begin, panels);
        begin = next.load(std::memory_order_relaxed);
      }
    };
    if (threads == 1) return work(0);
    process_thread_pool().run(work);
  }

  // Sums of a few panels at a time, so that their memory is still in L2 when it is written again.
  void finish_stripe(int64_t begin, int64_t panels) const {
    alignas(64) float c[kMostStreamRows * kMostStripe * kPanelRows];
    int64_t wanted = round_up(ceil_div(kStripeBytes, weight_.panel_bytes()), kLeastStripe);
    int64_t most = std::min(kMostStripe, wanted);
    for (int64_t end = begin + panels; begin < end; begin += most) {
      finish_panels(begin, std::min(most, end - begin), c);
    }
  }

  void finish_panels(int64_t begin, int64_t panels, float* c) const {
    int64_t column = begin * kPanelRows, pitch = panels * kPanelRows;
    int64_t columns = std::min(call_.n - column, pitch);
    fetch_results(call_, first_, count_, column, columns);
    Int8Tile call = part_of(begin, c, 0, sizes_.inputs);
    call.rows = static_cast<int>(count_);
    call.c_pitch = pitch;
    int8_.stream(call, panels);
    for (int64_t i = 0; i < count_; ++i) {
      finish_row(rows_, call_, first_ + i, column, columns, c + i * pitch);
    }
  }

  // A part of the panel that stays in L1 meets all rows of x.
  void multiply(int thread, int64_t panel, float* c, int64_t first) const {
    int64_t inputs = std::min(kInputsAtOnce, sizes_.inputs - first);
    Int8Tile call = part_of(panel, c, first, inputs);
    int64_t bytes = kInputsAtOnce * kPanelRows / (weight_.packed ? 2 : 1);
    // The next part of this panel, or the first of that which takes its place.
    bool last = first + inputs >= sizes_.inputs;
    call.fetch =
        last ? weight_.panel(std::min(panel + kPanelBlock, sizes_.panels - 1)) : call.codes + bytes;
    if (weight_.packed) {
      uint8_t* unpacked = buffers_.unpacked + thread * kInputsAtOnce * kPanelRows;
      int8_.unpack(call.codes, inputs / kUnitInputs, unpacked);
      call.codes = unpacked;
      call.packed = false;
    }
    // Parts of a single group stay integers; 4 bits always have groups of their own.
    bool one = sizes_.groups == 1;
    call.resume = one && first > 0;
    call.suspend = one && !last;
    call.accumulate = !one && first > 0;
    run_tiles(call, bytes);
  }

  const LinearCall& call_;
  const PanelWeight& weight_;
  const PanelSizes& sizes_;
  const RowKernels& rows_;
  const Int8Kernels& int8_;
  const Buffers& buffers_;
  int64_t first_, count_;
};

}  // namespace

int64_t int8_workspace(const LinearSizes& sizes, const PanelSizes& panels) {
  Workspace workspace;
  take_buffers(sizes, panels, workspace);
  return workspace.needed();
}

void run_int8(const LinearCall& call, const PanelWeight& weight, const Kernels& kernels,
              Workspace workspace) {
  LinearSizes sizes = {.m = call.m, .n = call.n, .k = call.k};
  Buffers buffers = take_buffers(sizes, weight.sizes, workspace);
  int64_t block = row_block(call.m, pitch_of(weight.sizes));
  for (int64_t first = 0; first < call.m; first += block) {
    RowBlock(call, weight, kernels, buffers, first, std::min(block, call.m - first)).run();
  }
}

}  // namespace tenon::cpu
