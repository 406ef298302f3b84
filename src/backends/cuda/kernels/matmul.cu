#include "ops/matmul.h"

#include <algorithm>

#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/matrix.cuh"
#include "backends/cuda/kernels/simple_product.cuh"
#include "backends/cuda/kernels/support.h"
#include "backends/cuda/launch.h"

// A block a tile of y, batches along the grid's z.
namespace tenon::cuda {
namespace {

using device::Any;
using device::SimpleProduct;

struct Sizes {
  int m, n, k, batches;
  bool transpose_b;
};

__global__ void __launch_bounds__(SimpleProduct::kThreads)
    matmul_kernel(Matrix<Any> a, Matrix<Any> b, Matrix<Any> y, Sizes sizes) {
  __shared__ SimpleProduct::Shared shared;
  device::let_next_start();
  device::wait_for_previous();
  int n0 = blockIdx.x * SimpleProduct::kTile;
  for (int batch = blockIdx.z; batch < sizes.batches; batch += gridDim.z) {
    int64_t a_first = static_cast<int64_t>(batch) * sizes.m;
    int64_t b_first = static_cast<int64_t>(batch) * (sizes.transpose_b ? sizes.n : sizes.k);
    auto left = [&](int row, int k) { return get(a, a_first + row, k); };
    auto right = [&](int column, int k) {
      return sizes.transpose_b ? get(b, b_first + column, k) : get(b, b_first + k, column);
    };
    auto finish = [&](int row, int column, float sum) {
      float value[1] = {sum};
      y.store(y.layout.offset(a_first + row), column, value);
    };
    for (int m0 = blockIdx.y * SimpleProduct::kTile; m0 < sizes.m;
         m0 += gridDim.y * SimpleProduct::kTile) {
      SimpleProduct::tile(shared, m0, n0, sizes.m, sizes.n, sizes.k, left, right, finish);
    }
  }
}

ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = support_floats(desc, {0, 1}, {0});
  if (!support.ok) return support;
  for (const ops::TensorDesc* tensor : {&desc.inputs[0], &desc.inputs[1], &desc.outputs[0]}) {
    if (tensor->extents.count() > int64_t{1} << 30)
      return ops::Support::no("more than 2^30 values");
  }
  return support;
}

void run(const ops::RunArgs& args) {
  const ops::Matmul& op = ops::attributes_of<ops::Matmul>(args);
  const TensorView &a = args.inputs[0], &y = args.outputs[0];
  if (y.count() == 0) return;
  int64_t m = a.extents[a.rank() - 2], n = y.columns();
  Sizes sizes{static_cast<int>(m), static_cast<int>(n), static_cast<int>(a.columns()),
              static_cast<int>(y.rows() / m), op.transpose_b};
  auto tiles = [](int64_t count) {
    return static_cast<unsigned>(
        std::min<int64_t>((count + SimpleProduct::kTile - 1) / SimpleProduct::kTile, 65535));
  };
  dim3 grid(static_cast<unsigned>((n + SimpleProduct::kTile - 1) / SimpleProduct::kTile), tiles(m),
            static_cast<unsigned>(std::min(sizes.batches, 65535)));
  launch(matmul_kernel, kMatmul.name, {grid, dim3(SimpleProduct::kThreads), 0, true},
         stream_of(args), matrix_of<Any>(a), matrix_of<Any>(args.inputs[1]), matrix_of<Any>(y),
         sizes);
}

}  // namespace

const ops::Implementation kMatmul = {.name = "matmul__any__64x64x16__sm80",
                                     .op = ops::Matmul::kName,
                                     .supports = supports,
                                     .prepare = ops::prepare_attributes<ops::Matmul>,
                                     .run = run};

}  // namespace tenon::cuda
