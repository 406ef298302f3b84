#include <algorithm>
#include <atomic>

#include "backends/cpu/kernels/linear.h"
#include "base/thread_pool.h"

namespace tenon::cpu {
namespace {

// Numbers of 4 bytes that a packed weight may have: it stays in L2 beside rows of x.
constexpr int64_t kMostPacked = 1 << 17;
constexpr int64_t kLeastRows = 128;
// Rows of x that a thread packs and finishes at once.
constexpr int64_t kRowBlock = 192;

struct Sizes {
  int64_t units;            // of k
  int64_t k_blocks;         // of kTileUnits
  int64_t panels, columns;  // of the packed weight; `columns` of one
  int64_t panel_size() const { return units * columns; }
};

Sizes sizes_of(const LinearSizes& sizes, const GemmKernels& gemm) {
  int64_t units = std::max<int64_t>(1, ceil_div(sizes.k, gemm.elements_per_unit));
  return {.units = units,
          .k_blocks = ceil_div(units, kTileUnits),
          .panels = ceil_div(sizes.n, gemm.columns),
          .columns = gemm.columns};
}

struct Buffers {
  float* b;  // [panels, units, columns]
  float* a;  // [threads, kRowBlock, kTilePitch]: one block of k
  float* c;  // [threads, kRowBlock, panels * columns]
  int64_t a_size, c_size;
};

Buffers take_buffers(const Sizes& sizes, Workspace& workspace) {
  int64_t threads = process_thread_pool().size();
  Buffers buffers{};
  buffers.a_size = kRowBlock * kTilePitch;
  buffers.c_size = kRowBlock * sizes.panels * sizes.columns;
  buffers.b = workspace.take<float>(sizes.panels * sizes.panel_size());
  buffers.a = workspace.take<float>(threads * buffers.a_size);
  buffers.c = workspace.take<float>(threads * buffers.c_size);
  return buffers;
}

class TallProduct {
 public:
  TallProduct(const LinearCall& call, const RowKernels& rows, const GemmKernels& gemm,
              const Sizes& sizes, const Buffers& buffers)
      : call_(call), rows_(rows), gemm_(gemm), sizes_(sizes), buffers_(buffers) {}

  void run() const {
    ThreadPool& pool = process_thread_pool();
    pool.parallel_for(sizes_.panels, 1, [&](int64_t begin, int64_t end) {
      for (int64_t panel = begin; panel < end; ++panel) pack_panel(panel);
    });
    // Smaller blocks where there are few rows, so that every thread has some; whole tiles.
    int64_t share = ceil_div(call_.m, 4 * pool.size());
    int64_t block = std::min(kRowBlock, round_up(share, std::min(gemm_.max_rows, 32)));
    std::atomic<int64_t> next{0};
    pool.run([&](int thread) {
      for (int64_t first; (first = next.fetch_add(block)) < call_.m;)
        finish_rows(thread, first, std::min(block, call_.m - first));
    });
  }

 private:
  void pack_panel(int64_t panel) const {
    const void* from[kMostColumns];
    int64_t first = panel * sizes_.columns, n = std::min(sizes_.columns, call_.n - first);
    for (int64_t i = 0; i < n; ++i) from[i] = call_.weight.at(first + i, 0);
    gemm_.pack_b(call_.weight.dtype(), from, n, call_.k, buffers_.b + panel * sizes_.panel_size());
  }

  void finish_rows(int thread, int64_t first, int64_t count) const {
    float* a = buffers_.a + thread * buffers_.a_size;
    float* c = buffers_.c + thread * buffers_.c_size;
    int64_t pitch = sizes_.panels * sizes_.columns;
    int64_t k_block = kTileUnits * gemm_.elements_per_unit;
    for (int64_t block = 0; block < sizes_.k_blocks; ++block) {
      int64_t elements = std::min(k_block, call_.k - block * k_block);
      for (int64_t row = 0; row < count; ++row) {
        gemm_.pack_a(call_.x.dtype(), call_.x.at(first + row, block * k_block), elements,
                     a + row * kTilePitch);
      }
      int64_t units = std::min(kTileUnits, sizes_.units - block * kTileUnits);
      for (int64_t panel = 0; panel < sizes_.panels; ++panel) {
        const float* b =
            buffers_.b + panel * sizes_.panel_size() + block * kTileUnits * sizes_.columns;
        for (int64_t row = 0; row < count; row += gemm_.max_rows) {
          auto height = static_cast<int>(std::min<int64_t>(gemm_.max_rows, count - row));
          gemm_.tile(height, units, a + row * kTilePitch, b, sizes_.columns,
                     c + row * pitch + panel * sizes_.columns, pitch, block > 0, {});
        }
      }
    }
    for (int64_t row = 0; row < count; ++row)
      finish_row(rows_, call_, first + row, 0, call_.n, c + row * pitch);
  }

  static constexpr int64_t kMostColumns = 64;  // of a panel

  const LinearCall& call_;
  const RowKernels& rows_;
  const GemmKernels& gemm_;
  const Sizes& sizes_;
  const Buffers& buffers_;
};

}  // namespace

bool is_tall(const LinearSizes& sizes, const GemmKernels& gemm) {
  Sizes found = sizes_of(sizes, gemm);
  return sizes.m >= kLeastRows && found.panels * found.panel_size() <= kMostPacked;
}

int64_t tall_workspace(const LinearSizes& sizes, const GemmKernels& gemm) {
  if (!is_tall(sizes, gemm)) return 0;
  Workspace workspace;
  take_buffers(sizes_of(sizes, gemm), workspace);
  return workspace.needed();
}

void run_tall(const LinearCall& call, const RowKernels& rows, const GemmKernels& gemm,
              Workspace workspace) {
  Sizes sizes = sizes_of({.m = call.m, .n = call.n, .k = call.k}, gemm);
  Buffers buffers = take_buffers(sizes, workspace);
  TallProduct(call, rows, gemm, sizes, buffers).run();
}

}  // namespace tenon::cpu
