#include "ops/pad.h"

#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/copy_rows.cuh"
#include "backends/cuda/kernels/support.h"

// All of y is filled, then x is copied into the middle.
namespace tenon::cuda {
namespace {

template <int V>
__global__ void fill_kernel(Matrix<device::Any> y, int64_t rows, int64_t units, float value) {
  device::let_next_start();
  device::wait_for_previous();
  device::for_each_unit(
      rows, units, [&](int64_t row) { return y.layout.offset(row); },
      [&](int64_t row, int64_t unit) {
        float values[V];
#pragma unroll
        for (int i = 0; i < V; ++i) values[i] = value;
        y.store(row, unit * V, values);
      });
}

template <int V>
void start_fill(const ops::RunArgs& args, const TensorView& y, float value) {
  auto [grid, block] = cover(y.rows(), y.columns() / V);
  launch(fill_kernel<V>, kPad.name, {grid, block, 0, true}, stream_of(args),
         matrix_of<device::Any>(y), y.rows(), y.columns() / V, value);
}

void run(const ops::RunArgs& args) {
  const ops::Pad& op = ops::attributes_of<ops::Pad>(args);
  const TensorView& y = args.outputs[0];
  if (y.count() == 0) return;
  auto value = static_cast<float>(op.value);
  rows_are_vectors(y, 8) ? start_fill<8>(args, y, value) : start_fill<1>(args, y, value);
  TensorView inner = y;
  for (int axis = 0; axis < inner.rank(); ++axis) {
    inner = inner.slice(axis, op.before[axis], op.before[axis] + args.inputs[0].extents[axis]);
  }
  if (inner.count() > 0) copy_rows(args, kPad.name, args.inputs[0], inner, AllRows());
}

}  // namespace

const ops::Implementation kPad = {
    .name = "pad__any__256x16b__sm80",
    .op = ops::Pad::kName,
    .supports = [](const ops::OpDesc& desc) { return support_floats(desc, {0}, {0}); },
    .prepare = ops::prepare_attributes<ops::Pad>,
    .run = run};

}  // namespace tenon::cuda
