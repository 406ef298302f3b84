#include <algorithm>

#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/dispatch.cuh"
#include "backends/cuda/kernels/matrix.cuh"
#include "backends/cuda/kernels/support.h"
#include "backends/cuda/launch.h"
#include "ops/matmul.h"

// A few rows of a with many rows of b, as of masks' weights with a picture's pixels: a thread a row
// of b, which it reads once for all rows of a. Reading b takes the time.
namespace tenon::cuda {
namespace {

constexpr int kThreads = 256, kMostRows = 8;
constexpr int64_t kMostInner = 64;

template <class T, int kInner>
__global__ void __launch_bounds__(kThreads)
    matmul_few_rows_kernel(Matrix<device::Any> a, Matrix<T> b, Matrix<device::Any> y, int m,
                           int n) {
  __shared__ float left[kMostRows][kInner];
  device::let_next_start();
  device::wait_for_previous();
  int64_t batch = blockIdx.y;
  for (int i = threadIdx.x; i < m * kInner; i += kThreads)
    left[i / kInner][i % kInner] = get(a, batch * m + i / kInner, i % kInner);
  __syncthreads();
  int column = blockIdx.x * kThreads + threadIdx.x;
  if (column >= n) return;
  float right[kInner];
  int64_t row = b.layout.offset(batch * n + column);
#pragma unroll
  for (int k = 0; k < kInner; k += 8) {
    float part[8];
    b.load(row, k, part);
#pragma unroll
    for (int i = 0; i < 8; ++i) right[k + i] = part[i];
  }
  for (int i = 0; i < m; ++i) {
    float sum[1] = {0.0f};
#pragma unroll
    for (int k = 0; k < kInner; ++k) sum[0] = fmaf(left[i][k], right[k], sum[0]);
    y.store(y.layout.offset(batch * m + i), column, sum);
  }
}

ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = kMatmul.supports(desc);
  if (!support.ok) return support;
  const Extents &a = desc.inputs[0].extents, &y = desc.outputs[0].extents;
  if (!ops::read_attributes<ops::Matmul>(*desc.attributes).transpose_b) {
    return ops::Support::no("b is not transposed");
  }
  int64_t m = a[a.rank() - 2], k = a.back();
  if (m > kMostRows) return ops::Support::no("more than 8 rows of a");
  if (k != 32 && k != kMostInner) return ops::Support::no("k is not 32 or 64");
  if (m == 0 || y.count() / std::max<int64_t>(m * y.back(), 1) > 65535) {
    return ops::Support::no("no rows, or more than 65535 in a batch");
  }
  return support;
}

void run(const ops::RunArgs& args) {
  const TensorView &a = args.inputs[0], &b = args.inputs[1], &y = args.outputs[0];
  if (y.count() == 0) return;
  if (!rows_are_vectors(b, 8)) return kMatmul.run(args);
  int64_t m = a.extents[a.rank() - 2], n = y.columns();
  dim3 grid(static_cast<unsigned>((n + kThreads - 1) / kThreads),
            static_cast<unsigned>(y.rows() / m));
  dispatch_float(b.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    auto kernel = a.columns() == 32 ? matmul_few_rows_kernel<T, 32>
                                    : matmul_few_rows_kernel<T, static_cast<int>(kMostInner)>;
    launch(kernel, "matmul_few_rows", {grid, dim3(kThreads), 0, true}, stream_of(args),
           matrix_of<device::Any>(a), matrix_of<T>(b), matrix_of<device::Any>(y),
           static_cast<int>(m), static_cast<int>(n));
  });
}

}  // namespace

const ops::Implementation kMatmulFewRows = {.name = "matmul__any__few_rows__sm80",
                                            .op = ops::Matmul::kName,
                                            .supports = supports,
                                            .prepare = ops::prepare_attributes<ops::Matmul>,
                                            .run = run};

}  // namespace tenon::cuda
