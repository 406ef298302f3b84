#include "backends/cpu/kernels/norm.h"

#include <cmath>

#include "backends/cpu/kernels/ranges.h"

namespace tenon::cpu {
namespace {

// Rows below this many elements a thread are not worth a wake-up.
constexpr int64_t kMinElements = 8 * 1024;

struct Buffers {
  float *weight, *bias;  // [columns]
  float* rows;           // [threads, columns]
};

Buffers take_buffers(int64_t columns, Workspace& workspace) {
  return {.weight = workspace.take<float>(columns),
          .bias = workspace.take<float>(columns),
          .rows = workspace.take<float>(process_thread_pool().size() * round_up(columns, 16))};
}

// The vector as f32: itself, or expanded into `buffer`; null where absent.
const float* as_f32(const TensorView& vector, const RowKernels& rows, float* buffer) {
  if (!vector.defined()) return nullptr;
  if (vector.dtype == DType::F32) return vector.as<const float>();
  rows.load(vector.dtype, vector.data, vector.count(), buffer);
  return buffer;
}

void norm_row(const NormCall& call, const RowKernels& rows, const float* weight, const float* bias,
              int64_t row, float* s) {
  int64_t d = call.x.columns();
  rows.load(call.x.dtype(), call.x.at(row, 0), d, s);
  if (call.residual.defined()) {
    rows.accumulate(call.residual.dtype(), call.residual.at(row, 0), d, s);
  }
  // y is made from s before s is rounded into `sum`.
  if (call.sum.defined()) rows.store(call.sum.dtype(), s, d, call.sum.at(row, 0));
  float mean = call.centred ? rows.sum(s, d) / static_cast<float>(d) : 0.0f;
  double variance = rows.sum_squares(s, d, mean) / static_cast<double>(d);
  float factor = static_cast<float>(1.0 / std::sqrt(variance + call.eps));
  rows.normalise(s, d, mean, factor, weight, bias, s);
  rows.store(call.y.dtype(), s, d, call.y.at(row, 0));
}

}  // namespace

int64_t norm_workspace(int64_t columns) {
  Workspace workspace;
  take_buffers(columns, workspace);
  return workspace.needed();
}

void run_norm(const NormCall& call, const RowKernels& rows, Workspace workspace) {
  int64_t d = call.x.columns(), count = call.x.count();
  if (d == 0 || count == 0) return;
  Buffers buffers = take_buffers(d, workspace);
  const float* weight = as_f32(call.weight, rows, buffers.weight);
  const float* bias = as_f32(call.bias, rows, buffers.bias);
  for_ranges(count, ceil_div(kMinElements, d), [&](int thread, int64_t begin, int64_t end) {
    float* s = buffers.rows + thread * round_up(d, 16);
    for (int64_t row = begin; row < end; ++row) norm_row(call, rows, weight, bias, row, s);
  });
}

}  // namespace tenon::cpu
