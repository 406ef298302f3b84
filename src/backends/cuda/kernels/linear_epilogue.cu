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

}  // namespace tenon::cuda
