#include "ops/unary.h"

#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/device/cover.cuh"
#include "backends/cuda/kernels/device/functions.cuh"
#include "backends/cuda/kernels/device/gelu.cuh"
#include "backends/cuda/kernels/matrix.cuh"
#include "backends/cuda/kernels/support.h"
#include "backends/cuda/launch.h"

namespace tenon::cuda {
namespace {

using device::Any, device::bf16, device::f16;

constexpr int kVector = 8;

template <class X, class Y, int V>
__global__ void unary_kernel(Matrix<X> x, Matrix<Y> y, int64_t rows, int64_t units,
                             UnaryKind kind) {
  device::let_next_start();
  device::wait_for_previous();
  struct Row {
    int64_t x, y;
  };
  device::for_each_unit(
      rows, units,
      [&](int64_t row) {
        return Row{x.layout.offset(row), y.layout.offset(row)};
      },
      [&](const Row& row, int64_t unit) {
        float values[V];
        x.load(row.x, unit * V, values);
#pragma unroll
        for (int i = 0; i < V; ++i) {
          constexpr bool kShort = std::is_same_v<X, f16> && std::is_same_v<Y, f16>;
          values[i] =
              kShort ? device::apply_short(kind, values[i]) : device::apply(kind, values[i]);
        }
        y.store(row.y, unit * V, values);
      });
}

ops::Support supports(const ops::OpDesc& desc) {
  return support_floats(desc, {0}, {0});
}

std::shared_ptr<const void> prepare(const ops::OpDesc& desc) {
  return std::make_shared<const UnaryKind>(
      unary_kind(ops::read_attributes<ops::Unary>(*desc.attributes).kind));
}

template <class X, class Y, int V>
void start(const ops::RunArgs& args, const TensorView& x, const TensorView& y) {
  auto [grid, block] = cover(y.rows(), y.columns() / V);
  launch(unary_kernel<X, Y, V>, kUnary.name, {grid, block, 0, true}, stream_of(args),
         matrix_of<X>(x), matrix_of<Y>(y), y.rows(), y.columns() / V,
         *static_cast<const UnaryKind*>(args.prepared));
}

void run(const ops::RunArgs& args) {
  TensorView x = args.inputs[0], y = args.outputs[0];
  flatten_if_contiguous(x, y);
  if (!rows_are_vectors(x, kVector) || !rows_are_vectors(y, kVector)) {
    start<Any, Any, 1>(args, x, y);
  } else if (x.dtype == DType::BF16 && y.dtype == DType::BF16) {
    start<bf16, bf16, kVector>(args, x, y);
  } else if (x.dtype == DType::F16 && y.dtype == DType::F16) {
    start<f16, f16, kVector>(args, x, y);
  } else {
    start<Any, Any, kVector>(args, x, y);
  }
}

}  // namespace

const ops::Implementation kUnary = {.name = "unary__any__256x8__sm80",
                                    .op = ops::Unary::kName,
                                    .supports = supports,
                                    .prepare = prepare,
                                    .run = run};

}  // namespace tenon::cuda
