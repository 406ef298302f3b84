#include <cstring>

#include "backends/cpu/kernels/linear.h"
#include "base/thread_pool.h"

namespace tenon::cpu {
namespace {

// Rows of the weight between two epilogues: their sums stay in L1.
constexpr int64_t kRowsAtOnce = 64;
constexpr int64_t kMaxRows = 8;
// A thread is woken only for a share of the weight that takes longer than the wake-up.
constexpr int64_t kMinElements = 16 * 1024;

int64_t padded(int64_t k) {
  return round_up(k, kGemvPadding);
}

// The rows of x in the kernel's type, zero padded.
void* make_padded_rows(const LinearCall& call, const RowKernels& rows, DType dtype,
                       Workspace& workspace) {
  int64_t bytes = dtype == DType::F32 ? 4 : 2, pitch = padded(call.k) * bytes;
  auto* to = workspace.take<std::byte>(call.m * pitch);
  for (int64_t i = 0; i < call.m; ++i) {
    std::byte* row = to + i * pitch;
    if (dtype == DType::F32) {
      rows.load(call.x.dtype(), call.x.at(i, 0), call.k, reinterpret_cast<float*>(row));
    } else {
      std::memcpy(row, call.x.at(i, 0), call.k * bytes);
    }
    std::memset(row + call.k * bytes, 0, pitch - call.k * bytes);
  }
  return to;
}

}  // namespace

int64_t gemv_workspace(const LinearSizes& sizes) {
  Workspace workspace;
  workspace.take<float>(std::min(sizes.m, kMaxRows) * padded(sizes.k));
  return workspace.needed();
}

void run_gemv(const LinearCall& call, const RowKernels& rows, const GemvKernels& gemv,
              Workspace workspace) {
  TENON_CHECK(call.m <= kMaxRows);
  const void* x = make_padded_rows(call, rows, gemv.x_dtype, workspace);
  auto stripe = [&](int64_t begin, int64_t end) {
    alignas(64) float sums[kMaxRows * kRowsAtOnce];
    for (int64_t row = begin; row < end; row += kRowsAtOnce) {
      int64_t count = std::min(kRowsAtOnce, end - row);
      gemv.run(call.weight.dtype(), call.weight.at(row, 0), call.weight.pitch(), count, x,
               padded(call.k), static_cast<int>(call.m), call.k, sums, kRowsAtOnce);
      for (int64_t i = 0; i < call.m; ++i) {
        finish_row(rows, call, i, row, count, sums + i * kRowsAtOnce);
      }
    }
  };
  int64_t grain = std::max<int64_t>(1, kMinElements / std::max<int64_t>(1, call.k));
  process_thread_pool().parallel_for(call.n, grain, stripe);
}

}  // namespace tenon::cpu
