#include "ops/resize.h"

#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/device/cover.cuh"
#include "backends/cuda/kernels/matrix.cuh"
#include "backends/cuda/kernels/support.h"
#include "backends/cuda/launch.h"

namespace tenon::cuda {
namespace {

using device::Any;

// Where an element of the result lies between two of x. In f32 and without a fused multiply-add,
// as the definition: else pictures of odd sizes would pick other neighbours at ties.
struct Between {
  int low, high;
  float share;  // of `high`
};
__device__ Between between(int index, int from, int to) {
  float scale = static_cast<float>(from) / static_cast<float>(to);
  float position =
      fmaxf(0.0f, __fadd_rn(__fmul_rn(static_cast<float>(index) + 0.5f, scale), -0.5f));
  int low = min(static_cast<int>(position), from - 1);
  return {low, min(low + 1, from - 1), position - static_cast<float>(low)};
}

struct Size {
  int height, width;
};

__global__ void resize_kernel(Matrix<Any> x, Size from, Matrix<Any> y, Size to, int64_t pixels,
                              int64_t channels) {
  device::let_next_start();
  device::wait_for_previous();
  struct Row {
    int64_t corners[4], y;
    float down, right;
  };
  device::for_each_unit(
      pixels, channels,
      [&](int64_t pixel) {
        int64_t first = pixel / to.width / to.height * from.height;
        Between rows =
            between(static_cast<int>(pixel / to.width % to.height), from.height, to.height);
        Between columns = between(static_cast<int>(pixel % to.width), from.width, to.width);
        auto at = [&](int row, int column) {
          return x.layout.offset((first + row) * from.width + column);
        };
        return Row{{at(rows.low, columns.low), at(rows.low, columns.high),
                    at(rows.high, columns.low), at(rows.high, columns.high)},
                   y.layout.offset(pixel),
                   rows.share,
                   columns.share};
      },
      [&](const Row& row, int64_t channel) {
        float corners[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          float value[1];
          x.load(row.corners[i], channel, value);
          corners[i] = value[0];
        }
        float top = (1 - row.right) * corners[0] + row.right * corners[1];
        float bottom = (1 - row.right) * corners[2] + row.right * corners[3];
        float mixed[1] = {(1 - row.down) * top + row.down * bottom};
        y.store(row.y, channel, mixed);
      });
}

void run(const ops::RunArgs& args) {
  const TensorView &x = args.inputs[0], &y = args.outputs[0];
  if (y.count() == 0) return;
  auto size_of = [](const TensorView& view) {
    return Size{static_cast<int>(view.extents[1]), static_cast<int>(view.extents[2])};
  };
  auto [grid, block] = cover(y.rows(), y.columns());
  launch(resize_kernel, kResize.name, {grid, block, 0, true}, stream_of(args), matrix_of<Any>(x),
         size_of(x), matrix_of<Any>(y), size_of(y), y.rows(), y.columns());
}

}  // namespace

const ops::Implementation kResize = {
    .name = "resize__any__256__sm80",
    .op = ops::Resize::kName,
    .supports = [](const ops::OpDesc& desc) { return support_floats(desc, {0}, {0}); },
    .prepare = ops::prepare_attributes<ops::Resize>,
    .run = run};

}  // namespace tenon::cuda
