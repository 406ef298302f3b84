#include "backends/cuda/kernels/linear_epilogue.cuh"

#include <algorithm>

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

// erfc to 2^-22 of its value, in a fifth of erfcf's operations: its result becomes f16 here.
// Source: Press et al., Numerical Recipes in C, 6.2 (a Chebyshev fit of log(erfc(z) e^(z z) / t)).
__device__ __forceinline__ float erfc_short(float x) {
  float z = fabsf(x), t = __fdividef(1.0f, fmaf(0.5f, z, 1.0f));
  float sum = 0.17087277f;
  for (float c : {-0.82215223f, 1.48851587f, -1.13520398f, 0.27886807f, -0.18628806f, 0.09678418f,
                  0.37409196f, 1.00002368f, -1.26551223f}) {
    sum = fmaf(sum, t, c);
  }
  float value = t * device::exp2_fast((sum - z * z) * device::kLog2E);
  return x >= 0.0f ? value : 2.0f - value;
}

constexpr int kUnit = 8;  // f16 values in 16 bytes

__global__ void __launch_bounds__(256)
    activation_kernel(device::f16* y, int64_t pitch, int rows, int units, int activation) {
  device::let_next_start();
  device::wait_for_previous();
  auto kind = static_cast<UnaryKind>(activation);
  int unit = blockIdx.x * blockDim.x + threadIdx.x;
  if (unit >= units) return;
  for (int row = blockIdx.y; row < rows; row += gridDim.y) {
    float values[kUnit];
    device::f16* at = y + row * pitch + unit * kUnit;
    device::load(at, values);
    for (float& value : values) {
      value = kind == UnaryKind::GeluErf ? 0.5f * value * erfc_short(-0.70710678118654752f * value)
                                         : device::apply(kind, value);
    }
    device::store(at, values);
  }
}

}  // namespace

// y's rows are aligned and its columns a multiple of 8.
void run_linear_activation(const LinearCall& call) {
  int units = call.n / kUnit;
  dim3 grid(static_cast<unsigned>((units + 255) / 256),
            static_cast<unsigned>(std::min(call.m, 65535)));
  launch(activation_kernel, "linear_activation", {grid, dim3(256), 0, true}, call.stream,
         static_cast<device::f16*>(call.y.data), call.y.pitch, call.m, units, call.activation);
}

}  // namespace tenon::cuda
