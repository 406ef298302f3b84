#include "backends/cuda/kernels/linear_epilogue.cuh"

#include <algorithm>

#include "backends/cuda/kernels/device/gelu.cuh"
#include "backends/cuda/launch.h"
#include "ops/linear.h"

namespace tenon::cuda {
namespace {

constexpr int kThreads = 256;

// One row a block in y, so that neither a division nor 64-bit index arithmetic is needed.
__global__ void linear_epilogue_kernel(const float* sums, int64_t pitch, device::Epilogue epilogue,
                                       int m, int n) {
  device::let_next_start();
  device::wait_for_previous();
  for (int row = blockIdx.y; row < m; row += gridDim.y) {
    for (int column = blockIdx.x * kThreads + threadIdx.x; column < n;
         column += gridDim.x * kThreads) {
      epilogue.finish(row, column, sums[row * pitch + column]);
    }
  }
}

}  // namespace

std::shared_ptr<const void> prepare_linear(const ops::OpDesc& desc) {
  std::string kind = ops::read_attributes<ops::Linear>(*desc.attributes).activation;
  auto prepared = std::make_shared<PreparedLinear>();
  if (!kind.empty()) prepared->activation = static_cast<int>(unary_kind(kind));
  if (kind == "gelu_tanh") prepared->library_activation = LibraryActivation::GeluTanh;
  if (kind == "relu") prepared->library_activation = LibraryActivation::Relu;
  prepared->variant = desc.variant;
  prepared->bucket_rows = static_cast<int>(linear_rows(desc));
  return prepared;
}

void run_linear_epilogue(const LinearCall& call, const float* sums, int64_t sums_pitch) {
  unsigned columns = std::max(1, std::min((call.n + kThreads - 1) / kThreads, 64));
  LaunchShape shape{dim3(columns, std::min(call.m, 65535)), dim3(kThreads), 0, true};
  launch(linear_epilogue_kernel, "linear_epilogue", shape, call.stream, sums, sums_pitch,
         epilogue_of(call), call.m, call.n);
}

namespace {

constexpr int kUnit = 8;  // f16 values in 16 bytes

constexpr int kTurns = 2;  // units of a thread, so that enough loads are under way

// A unit is eight values of a row: rows of any length fill its block.
__global__ void __launch_bounds__(kThreads)
    activation_kernel(device::f16* y, int64_t pitch, unsigned count, unsigned units,
                      int activation) {
  device::let_next_start();
  device::wait_for_previous();
  auto kind = static_cast<UnaryKind>(activation);
  device::f16* at[kTurns];
  float values[kTurns][kUnit];
#pragma unroll
  for (int turn = 0; turn < kTurns; ++turn) {
    unsigned i = (blockIdx.x * kTurns + turn) * kThreads + threadIdx.x;
    at[turn] = nullptr;
    if (i >= count) continue;
    at[turn] = y + static_cast<int64_t>(i / units) * pitch + i % units * kUnit;
    device::load(at[turn], values[turn]);
  }
#pragma unroll
  for (int turn = 0; turn < kTurns; ++turn) {
    if (!at[turn]) continue;
    for (float& value : values[turn]) value = device::apply_short(kind, value);
    device::store(at[turn], values[turn]);
  }
}

}  // namespace

// y's rows are aligned and its columns a multiple of 8.
void run_linear_activation(const LinearCall& call) {
  int64_t units = call.n / kUnit, most = std::max<int64_t>((int64_t{1} << 30) / units, 1);
  auto* y = static_cast<device::f16*>(call.y.data);
  for (int64_t row = 0; row < call.m; row += most) {
    auto count = static_cast<unsigned>(std::min<int64_t>(most, call.m - row) * units);
    launch(activation_kernel, "linear_activation",
           {dim3((count + kTurns * kThreads - 1) / (kTurns * kThreads)), dim3(kThreads), 0, true},
           call.stream, y + row * call.y.pitch, call.y.pitch, count, static_cast<unsigned>(units),
           call.activation);
  }
}

}  // namespace tenon::cuda
