#include <algorithm>
#include <atomic>
#include <cstring>

#include "backends/cpu/kernels/linear.h"
#include "base/thread_pool.h"

namespace tenon::cpu {
namespace {

// Rows of the weight between two epilogues. For more rows of x than the kernel takes at once they
// are passed again, so they have to stay in L2. A multiple of all numbers of rows that kernels take
// at once.
constexpr int64_t kMostWeightRows = 48, kWeightRowStep = 12;
constexpr int64_t kMostSums = kMostGemvRows * kMostWeightRows;
constexpr int64_t kWeightBytes = 256 * 1024;
// Passed once it need not stay, but the sums must: they are written far apart, and a core that
// streams waits long for memory it stores to.
constexpr int64_t kOnceBytes = 512 * 1024;
// A thread is woken only for a share of the weight that takes longer than the wake-up.
constexpr int64_t kMinElements = 16 * 1024;
constexpr int64_t kLeastStripe = 24;

int64_t weight_rows_at_once(const LinearCall& call, int64_t batches) {
  int64_t row_bytes = std::max<int64_t>(1, call.k * call.weight.element_bytes());
  bool once = batches == 1;
  int64_t rows = (once ? kOnceBytes : kWeightBytes) / row_bytes / kWeightRowStep * kWeightRowStep;
  int64_t most = once ? kMostSums / call.m / kWeightRowStep * kWeightRowStep : kMostWeightRows;
  return std::clamp(rows, kWeightRowStep, most);
}

int64_t stripe_of(int64_t rows_left, int64_t threads) {
  return std::max(kLeastStripe, round_up(rows_left / (2 * threads), kWeightRowStep));
}

int64_t padded(int64_t k) {
  return round_up(k, kGemvPadding);
}

// The rows of x in the kernel's type, zero padded.
const std::byte* make_padded_rows(const LinearCall& call, const RowKernels& rows, DType dtype,
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
  workspace.take<float>(std::min<int64_t>(sizes.m, kMostGemvRows) * padded(sizes.k));
  return workspace.needed();
}

void run_gemv(const LinearCall& call, const RowKernels& rows, const GemvKernels& gemv,
              Workspace workspace) {
  TENON_CHECK(call.m <= kMostGemvRows);
  const std::byte* x = make_padded_rows(call, rows, gemv.x_dtype, workspace);
  int64_t x_pitch = padded(call.k), x_bytes = x_pitch * dtype_bits(gemv.x_dtype) / 8;
  int64_t batches = ceil_div(call.m, gemv.max_rows), most = weight_rows_at_once(call, batches);
  int64_t threads = process_thread_pool().size();
  auto finish = [&](int64_t begin, int64_t end) {
    alignas(64) float sums[kMostSums];
    for (int64_t row = begin; row < end; row += most) {
      int64_t count = std::min(most, end - row);
      fetch_results(call, 0, call.m, row, count);
      for (int64_t batch = 0; batch < batches; ++batch) {
        int64_t first = call.m * batch / batches, next = call.m * (batch + 1) / batches;
        auto run = batch == 0 ? gemv.run : gemv.run_again;
        run(call.weight.dtype(), call.weight.at(row, 0), call.weight.pitch(), count,
            x + first * x_bytes, x_pitch, static_cast<int>(next - first), call.k,
            sums + first * most, most);
      }
      for (int64_t i = 0; i < call.m; ++i) {
        finish_row(rows, call, i, row, count, sums + i * most);
      }
    }
  };
  if (call.n * call.k < kMinElements * threads) return finish(0, call.n);
  // Stripes are taken one by one, so that a thread that another process disturbs does not hold up
  // the rest: long ones first, short ones at the end, where all have to be waited for.
  std::atomic<int64_t> next_row{0};
  process_thread_pool().run([&](int) {
    while (true) {
      int64_t begin = next_row.load(std::memory_order_relaxed), end;
      do {
        if (begin >= call.n) return;
        end = std::min(call.n, begin + stripe_of(call.n - begin, threads));
      } while (!next_row.compare_exchange_weak(begin, end, std::memory_order_relaxed));
      finish(begin, end);
    }
  });
}

}  // namespace tenon::cpu
