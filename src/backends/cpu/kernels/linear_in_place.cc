#include <algorithm>
#include <atomic>

#include "backends/cpu/kernels/linear.h"
#include "base/thread_pool.h"

namespace tenon::cpu {
namespace {

// Units of k that a tile adds before its sums pass through memory. The rows of a tile stay in L1,
// the panel of x streams through it from L2.
constexpr int64_t kBlockUnits = 512;
// Rows of x held transposed, and their sums in L2 with the weight rows of a block.
constexpr int64_t kMostRows = 512;
// Rows of the weight that a thread finishes at once: all of x is read again for them, from L3 where
// it is large. A multiple of the rows of every tile.
constexpr int64_t kRowStep = 24, kMostWeightRows = 120;
constexpr int64_t kTurns = 8;
// Expanded rows of a weight that is not f32 lie in different cache sets, as rows of y do.
constexpr int64_t kExpandedPitch = kBlockUnits + 16, kTurnedPitch = kMostWeightRows + 16;
constexpr int64_t kMostSquare = 8;
constexpr int64_t kUnitsOfFetch = 16;

struct Plan {
  int64_t row_block;    // rows of x
  int64_t weight_rows;  // of a block
  int64_t vectors;      // of the columns of all panels
  int64_t panels;
};

Plan plan_of(const LinearSizes& sizes, const InPlaceKernels& kernels) {
  int64_t passes = std::max<int64_t>(1, ceil_div(sizes.m, kMostRows));
  int64_t rows = std::max<int64_t>(1, ceil_div(sizes.m, passes));
  int64_t vectors = ceil_div(rows, kernels.lanes);
  int64_t turns = kTurns * process_thread_pool().size();
  int64_t weight_rows =
      std::clamp(sizes.n / turns / kRowStep * kRowStep, kRowStep, kMostWeightRows);
  return {.row_block = rows,
          .weight_rows = weight_rows,
          .vectors = vectors,
          .panels = ceil_div(vectors, kernels.most_vectors)};
}

struct Buffers {
  float* x;         // [k, vectors * lanes]: blocks of k, in each panel after panel
  float* c;         // [threads, vectors * lanes * weight_rows]
  float* expanded;  // [threads, weight_rows, kExpandedPitch]
  float* turned;    // [threads, kMostSquare, kTurnedPitch]
};

Buffers take_buffers(const LinearSizes& sizes, const Plan& plan, const InPlaceKernels& kernels,
                     Workspace& workspace) {
  int64_t threads = process_thread_pool().size(), columns = plan.vectors * kernels.lanes;
  return {.x = workspace.take<float>(sizes.k * columns),
          .c = workspace.take<float>(threads * columns * plan.weight_rows),
          .expanded = workspace.take<float>(threads * plan.weight_rows * kExpandedPitch),
          .turned = workspace.take<float>(threads * kMostSquare * kTurnedPitch)};
}

// A part of the weight: `rows` of it from `row` on, the block of k from element `first` on.
struct Part {
  int64_t row = 0, rows = 0, first = 0;
};

// One pass over a block of rows of x.
class RowBlock {
 public:
  RowBlock(const LinearCall& call, const RowKernels& rows, const InPlaceKernels& kernels,
           const Plan& plan, const Buffers& buffers, int64_t first)
      : call_(call),
        rows_(rows),
        kernels_(kernels),
        plan_(plan),
        buffers_(buffers),
        first_(first),
        count_(std::min(plan.row_block, call.m - first)) {}

  void run() {
    ThreadPool& pool = process_thread_pool();
    int64_t blocks = ceil_div(call_.k, kBlockUnits);
    pool.parallel_for(blocks * plan_.panels, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        pack_panel(i / plan_.panels * kBlockUnits, i % plan_.panels);
    });
    // Blocks are taken one by one, so that a thread that another process disturbs does not hold up
    // the rest, and the next one early, so that its first rows can be fetched meanwhile.
    std::atomic<int64_t> next{0};
    pool.run([&](int thread) {
      int64_t row = next.fetch_add(1) * plan_.weight_rows;
      while (row < call_.n) {
        int64_t after = next.fetch_add(1) * plan_.weight_rows;
        finish_rows(thread, row, after);
        row = after;
      }
    });
  }

 private:
  // Panels are as even as they can be: narrow ones are slow.
  int64_t first_vector(int64_t panel) const { return plan_.vectors * panel / plan_.panels; }
  int vectors_of(int64_t panel) const {
    return static_cast<int>(first_vector(panel + 1) - first_vector(panel));
  }
  int64_t units_of(int64_t first) const { return std::min(kBlockUnits, call_.k - first); }
  float* packed_x(int64_t first, int64_t panel) const {
    int64_t lanes = kernels_.lanes;
    return buffers_.x + first * plan_.vectors * lanes +
           units_of(first) * first_vector(panel) * lanes;
  }
  float* sums_of(int thread, int64_t panel) const {
    int64_t vector = thread * plan_.vectors + first_vector(panel);
    return buffers_.c + vector * kernels_.lanes * plan_.weight_rows;
  }
  Part part_at(int64_t row, int64_t first) const {
    return {row, std::clamp<int64_t>(call_.n - row, 0, plan_.weight_rows), first};
  }

  void pack_panel(int64_t first, int64_t panel) const {
    const void* from[kMostTileColumns];
    int64_t column = first_vector(panel) * kernels_.lanes;
    int64_t rows = std::min<int64_t>(vectors_of(panel) * kernels_.lanes, plan_.row_block - column);
    // The last block of x may be shorter than the plan's: rows that do not exist repeat its last.
    for (int64_t i = 0; i < rows; ++i)
      from[i] = call_.x.at(first_ + std::min(column + i, count_ - 1), first);
    kernels_.pack_x(call_.x.dtype(), from, rows, vectors_of(panel), units_of(first),
                    packed_x(first, panel));
  }

  // The rows of a part as f32.
  void rows_of(const Part& part, float* expanded, const float** rows) const {
    bool as_they_lie = call_.weight.dtype() == DType::F32;
    for (int64_t i = 0; i < part.rows; ++i) {
      const std::byte* from = call_.weight.at(part.row + i, part.first);
      rows[i] = as_they_lie ? reinterpret_cast<const float*>(from) : expanded + i * kExpandedPitch;
      if (!as_they_lie)
        rows_.load(call_.weight.dtype(), from, units_of(part.first), expanded + i * kExpandedPitch);
    }
  }

  void finish_rows(int thread, int64_t row, int64_t after) const {
    for (int64_t first = 0; first < call_.k; first += kBlockUnits) {
      bool last = first + kBlockUnits >= call_.k;
      multiply_part(thread, part_at(row, first),
                    last ? part_at(after, 0) : part_at(row, first + kBlockUnits));
    }
    store_rows(thread, part_at(row, 0));
  }

  void multiply_part(int thread, const Part& part, const Part& next) const {
    const float* rows[kMostWeightRows];
    const void* fetched[kMostWeightRows];
    rows_of(part, buffers_.expanded + thread * plan_.weight_rows * kExpandedPitch, rows);
    for (int64_t i = 0; i < next.rows; ++i) fetched[i] = call_.weight.at(next.row + i, next.first);
    for (int64_t panel = 0; panel < plan_.panels; ++panel) {
      int64_t begin = next.rows * panel / plan_.panels,
              end = next.rows * (panel + 1) / plan_.panels;
      // Panels lie one after the other, also those of the next block of k.
      const float* x = packed_x(part.first, panel);
      int64_t floats = units_of(part.first) * vectors_of(panel) * kernels_.lanes;
      bool ends = next.first == 0 && panel + 1 == plan_.panels;
      kernels_.multiply(
          {.vectors = vectors_of(panel),
           .units = units_of(part.first),
           .w = rows,
           .rows = part.rows,
           .x = x,
           .c = sums_of(thread, panel),
           .accumulate = part.first > 0,
           .fetch = {fetched + begin, end - begin, kUnitsOfFetch * call_.weight.element_bytes()},
           .next_x = ends ? buffers_.x : x + floats,
           .next_x_bytes = floats * 4});
    }
  }

  void store_rows(int thread, const Part& part) const {
    float* turned = buffers_.turned + thread * kMostSquare * kTurnedPitch;
    for (int64_t panel = 0; panel < plan_.panels; ++panel) {
      int64_t row = first_vector(panel) * kernels_.lanes,
              pitch = vectors_of(panel) * kernels_.lanes;
      int64_t end = std::min(count_, row + pitch);
      for (int64_t first = row; first < end; first += kernels_.square) {
        kernels_.turn(sums_of(thread, panel) + first - row, pitch, part.rows, turned, kTurnedPitch);
        for (int64_t i = first; i < std::min<int64_t>(end, first + kernels_.square); ++i)
          finish_row(rows_, call_, first_ + i, part.row, part.rows,
                     turned + (i - first) * kTurnedPitch);
      }
    }
  }

  const LinearCall& call_;
  const RowKernels& rows_;
  const InPlaceKernels& kernels_;
  const Plan& plan_;
  const Buffers& buffers_;
  int64_t first_, count_;
};

}  // namespace

int64_t in_place_workspace(const LinearSizes& sizes, const InPlaceKernels& kernels) {
  // Enough for fewer rows, too: they may be in one block where more are in two smaller ones.
  LinearSizes most = sizes;
  most.m = std::min(sizes.m, kMostRows);
  Workspace workspace;
  take_buffers(most, plan_of(most, kernels), kernels, workspace);
  return workspace.needed();
}

void run_in_place(const LinearCall& call, const RowKernels& rows, const InPlaceKernels& kernels,
                  Workspace workspace) {
  LinearSizes sizes = {.m = call.m, .n = call.n, .k = call.k};
  Plan plan = plan_of(sizes, kernels);
  Buffers buffers = take_buffers(sizes, plan, kernels, workspace);
  for (int64_t first = 0; first < call.m; first += plan.row_block) {
    RowBlock(call, rows, kernels, plan, buffers, first).run();
  }
}

}  // namespace tenon::cpu
