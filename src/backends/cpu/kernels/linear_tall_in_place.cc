#include <algorithm>
#include <atomic>

#include "backends/cpu/kernels/linear.h"
#include "base/thread_pool.h"

namespace tenon::cpu {
namespace {

// Units of k that a tile adds before its sums pass through memory.
constexpr int64_t kBlockUnits = 512, kUnitsOfFetch = 16;
// Rows of x that a thread finishes at once; a multiple of the rows of all tiles.
constexpr int64_t kRowBlock = 192;
constexpr int64_t kExpandedPitch = kBlockUnits + 16;  // other cache sets for each row

struct Plan {
  int64_t vectors, panels;  // of all columns of y
};

Plan plan_of(const LinearSizes& sizes, const InPlaceKernels& kernels) {
  int64_t vectors = ceil_div(sizes.n, kernels.lanes);
  return {vectors, ceil_div(vectors, kernels.most_vectors)};
}

struct Buffers {
  float* b;         // panel after panel [k, columns of the panel]
  float* c;         // [threads], panel after panel [kRowBlock, columns of the panel]
  float* expanded;  // [threads, kRowBlock, kExpandedPitch]: rows of x that are not f32
};

Buffers take_buffers(const LinearSizes& sizes, const InPlaceKernels& kernels,
                     Workspace& workspace) {
  int64_t threads = process_thread_pool().size();
  int64_t columns = plan_of(sizes, kernels).vectors * kernels.lanes;
  return {.b = workspace.take<float>(sizes.k * columns),
          .c = workspace.take<float>(threads * kRowBlock * columns),
          .expanded = workspace.take<float>(threads * kRowBlock * kExpandedPitch)};
}

// Rows of x from `first` on.
struct Rows {
  int64_t first = 0, count = 0;
};

class TallProduct {
 public:
  TallProduct(const LinearCall& call, const RowKernels& rows, const InPlaceKernels& kernels,
              const Plan& plan, const Buffers& buffers)
      : call_(call), rows_(rows), kernels_(kernels), plan_(plan), buffers_(buffers) {}

  void run() const {
    ThreadPool& pool = process_thread_pool();
    pool.parallel_for(plan_.panels, 1, [&](int64_t begin, int64_t end) {
      for (int64_t panel = begin; panel < end; ++panel) pack_panel(panel);
    });
    // Smaller blocks where there are few rows, so that every thread has some. The next is taken
    // early, so that its rows can be fetched meanwhile.
    int64_t block = std::min(kRowBlock, round_up(ceil_div(call_.m, 4 * pool.size()), 24));
    std::atomic<int64_t> next{0};
    pool.run([&](int thread) {
      Rows rows = rows_at(next.fetch_add(block), block);
      while (rows.count > 0) {
        Rows after = rows_at(next.fetch_add(block), block);
        for (int64_t first = 0; first < call_.k; first += kBlockUnits)
          multiply(thread, rows, first, after);
        store(thread, rows);
        rows = after;
      }
    });
  }

 private:
  Rows rows_at(int64_t first, int64_t block) const {
    return {first, std::clamp<int64_t>(call_.m - first, 0, block)};
  }
  // Panels are as even as they can be: narrow ones are slow.
  int64_t first_column(int64_t panel) const {
    return plan_.vectors * panel / plan_.panels * kernels_.lanes;
  }
  int64_t columns_of(int64_t panel) const { return first_column(panel + 1) - first_column(panel); }
  int vectors_of(int64_t panel) const {
    return static_cast<int>(columns_of(panel) / kernels_.lanes);
  }
  float* packed(int64_t panel) const { return buffers_.b + first_column(panel) * call_.k; }
  float* sums_of(int thread, int64_t panel) const {
    int64_t columns = plan_.vectors * kernels_.lanes;
    return buffers_.c + (thread * columns + first_column(panel)) * kRowBlock;
  }

  void pack_panel(int64_t panel) const {
    const void* from[kMostTileColumns];
    int64_t column = first_column(panel), rows = std::min(columns_of(panel), call_.n - column);
    for (int64_t i = 0; i < rows; ++i) from[i] = call_.weight.at(column + i, 0);
    kernels_.pack_x(call_.weight.dtype(), from, rows, vectors_of(panel), call_.k, packed(panel));
  }

  // Elements [first, first + kBlockUnits) of k.
  void multiply(int thread, const Rows& rows, int64_t first, const Rows& after) const {
    const float* from[kRowBlock];
    const void* fetched[kRowBlock];
    int64_t units = std::min(kBlockUnits, call_.k - first);
    bool plain = call_.x.dtype() == DType::F32;
    for (int64_t i = 0; i < rows.count; ++i) {
      const std::byte* row = call_.x.at(rows.first + i, first);
      float* expanded = buffers_.expanded + (thread * kRowBlock + i) * kExpandedPitch;
      if (!plain) rows_.load(call_.x.dtype(), row, units, expanded);
      from[i] = plain ? reinterpret_cast<const float*>(row) : expanded;
    }
    bool last = first + kBlockUnits >= call_.k;
    Rows next = last ? after : rows;
    int64_t at = last ? 0 : first + kBlockUnits;
    for (int64_t i = 0; i < next.count; ++i) fetched[i] = call_.x.at(next.first + i, at);
    for (int64_t panel = 0; panel < plan_.panels; ++panel) {
      int64_t begin = next.count * panel / plan_.panels;
      int64_t end = next.count * (panel + 1) / plan_.panels;
      kernels_.multiply(
          {.vectors = vectors_of(panel),
           .units = units,
           .w = from,
           .rows = rows.count,
           .x = packed(panel) + first * columns_of(panel),
           .c = sums_of(thread, panel),
           .accumulate = first > 0,
           .fetch = {fetched + begin, end - begin, kUnitsOfFetch * call_.x.element_bytes()}});
    }
  }

  void store(int thread, const Rows& rows) const {
    for (int64_t row = 0; row < rows.count; ++row) {
      for (int64_t panel = 0; panel < plan_.panels; ++panel) {
        int64_t column = first_column(panel), columns = columns_of(panel);
        finish_row(rows_, call_, rows.first + row, column, std::min(columns, call_.n - column),
                   sums_of(thread, panel) + row * columns);
      }
    }
  }

  const LinearCall& call_;
  const RowKernels& rows_;
  const InPlaceKernels& kernels_;
  const Plan& plan_;
  const Buffers& buffers_;
};

}  // namespace

int64_t tall_in_place_workspace(const LinearSizes& sizes, const InPlaceKernels& kernels) {
  Workspace workspace;
  take_buffers(sizes, kernels, workspace);
  return workspace.needed();
}

void run_tall_in_place(const LinearCall& call, const RowKernels& rows,
                       const InPlaceKernels& kernels, Workspace workspace) {
  LinearSizes sizes = {.m = call.m, .n = call.n, .k = call.k};
  Plan plan = plan_of(sizes, kernels);
  Buffers buffers = take_buffers(sizes, kernels, workspace);
  TallProduct(call, rows, kernels, plan, buffers).run();
}

}  // namespace tenon::cpu
