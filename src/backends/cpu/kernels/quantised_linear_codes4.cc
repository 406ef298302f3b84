#include <algorithm>
#include <atomic>
#include <cstring>

#include "backends/cpu/kernels/quantised_linear.h"
#include "base/thread_pool.h"

namespace tenon::cpu {
namespace {

// Panels between two epilogues, and the least work a thread is woken for.
constexpr int64_t kPanelBlock = 4, kMinPanelBytes = 16 * 1024;

// The rows of x in f32, zero padded.
float* make_padded_rows(const LinearCall& call, const RowKernels& rows, int64_t inputs,
                        Workspace& workspace) {
  auto* to = workspace.take<float>(call.m * inputs);
  for (int64_t i = 0; i < call.m; ++i) {
    rows.load(call.x.dtype(), call.x.at(i, 0), call.k, to + i * inputs);
    std::fill(to + i * inputs + call.k, to + (i + 1) * inputs, 0.0f);
  }
  return to;
}

}  // namespace

int64_t codes4_workspace(const LinearSizes& sizes, const PanelSizes& panels) {
  Workspace workspace;
  workspace.take<float>(std::min(sizes.m, kMostCodes4Rows) * panels.inputs);
  return workspace.needed();
}

void run_codes4(const LinearCall& call, const PanelWeight& weight, const RowKernels& rows,
                const Codes4Kernels& codes4, Workspace workspace) {
  TENON_CHECK(call.m <= kMostCodes4Rows);
  const PanelSizes& sizes = weight.sizes;
  const float* x = make_padded_rows(call, rows, sizes.inputs, workspace);
  constexpr int64_t kPitch = kPanelBlock * kPanelRows;
  auto finish = [&](int64_t begin, int64_t end) {
    alignas(64) float c[kMostCodes4Rows * kPitch];
    for (int64_t panel = begin; panel < end; ++panel) {
      PanelScales scales = weight.scales_of(panel, 0, sizes.groups);
      for (int64_t row = 0; row < call.m; row += codes4.max_rows) {
        int count = static_cast<int>(std::min<int64_t>(codes4.max_rows, call.m - row));
        codes4.multiply(count, x + row * sizes.inputs, sizes.inputs, weight.panel(panel), scales,
                        c + row * kPitch + (panel - begin) * kPanelRows, kPitch);
      }
    }
    int64_t column = begin * kPanelRows, columns = std::min(call.n, end * kPanelRows) - column;
    for (int64_t row = 0; row < call.m; ++row) {
      finish_row(rows, call, row, column, columns, c + row * kPitch);
    }
  };
  int64_t blocks = ceil_div(sizes.panels, kPanelBlock);
  auto finish_block = [&](int64_t block) {
    finish(block * kPanelBlock, std::min(sizes.panels, (block + 1) * kPanelBlock));
  };
  ThreadPool& pool = process_thread_pool();
  if (sizes.panels * weight.panel_bytes() < kMinPanelBytes * pool.size()) {
    for (int64_t block = 0; block < blocks; ++block) finish_block(block);
    return;
  }
  // Runs of blocks are taken one by one, so that a thread that another process disturbs does not
  // hold up the rest; long enough that most of the weight is one stream.
  int64_t run = std::max<int64_t>(1, blocks / (8 * pool.size()));
  std::atomic<int64_t> next{0};
  pool.run([&](int) {
    for (int64_t first = next.fetch_add(run); first < blocks; first = next.fetch_add(run)) {
      for (int64_t block = first; block < std::min(blocks, first + run); ++block)
        finish_block(block);
    }
  });
}

}  // namespace tenon::cpu
