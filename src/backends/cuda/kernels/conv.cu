#include "ops/conv.h"

#include <algorithm>

#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/device/functions.cuh"
#include "backends/cuda/kernels/linear.h"
#include "backends/cuda/kernels/matrix.cuh"
#include "backends/cuda/kernels/simple_product.cuh"
#include "backends/cuda/kernels/support.h"
#include "backends/cuda/launch.h"

// A convolution is a product: rows are pixels of y, k goes over the places of the kernel and the
// channels of a group. x's rows of that product are never written; loads find their pixel.
namespace tenon::cuda {
namespace {

using device::Any;
using device::SimpleProduct;

struct Sizes {
  int pixels, height, width;        // of y: in all pictures, of one
  int from_height, from_width;      // of x
  int kernel_height, kernel_width;  // places
  int channels, outputs, groups;    // channels and outputs of one group
  int stride[2], pad[2], dilation[2];
  int activation;
};

// The element of x at place `k` of the kernel for a pixel of y; 0 outside of the picture.
__device__ float under_kernel(const Matrix<Any>& x, const Sizes& sizes, int pixel, int k,
                              int group) {
  int place = k / sizes.channels, channel = k % sizes.channels;
  int row = pixel / sizes.width % sizes.height * sizes.stride[0] - sizes.pad[0] +
            place / sizes.kernel_width * sizes.dilation[0];
  int column = pixel % sizes.width * sizes.stride[1] - sizes.pad[1] +
               place % sizes.kernel_width * sizes.dilation[1];
  if (row < 0 || row >= sizes.from_height || column < 0 || column >= sizes.from_width) return 0.0f;
  int64_t picture = pixel / sizes.width / sizes.height;
  return get(x, (picture * sizes.from_height + row) * sizes.from_width + column,
             group * sizes.channels + channel);
}

__global__ void __launch_bounds__(SimpleProduct::kThreads)
    conv_kernel(Matrix<Any> x, Matrix<Any> weight, device::Array<Any> bias, Matrix<Any> y,
                Sizes sizes) {
  __shared__ SimpleProduct::Shared shared;
  device::let_next_start();
  device::wait_for_previous();
  int n0 = blockIdx.x * SimpleProduct::kTile, places = sizes.kernel_height * sizes.kernel_width;
  for (int group = blockIdx.z; group < sizes.groups; group += gridDim.z) {
    auto left = [&](int pixel, int k) { return under_kernel(x, sizes, pixel, k, group); };
    auto right = [&](int output, int k) {
      int64_t row = static_cast<int64_t>(group * sizes.outputs + output) * places;
      return get(weight, row + k / sizes.channels, k % sizes.channels);
    };
    auto finish = [&](int pixel, int output, float sum) {
      int channel = group * sizes.outputs + output;
      if (bias.data) sum += device::load_one(bias, channel);
      if (sizes.activation != kNoActivation) {
        sum = device::apply(static_cast<UnaryKind>(sizes.activation), sum);
      }
      float value[1] = {sum};
      y.store(y.layout.offset(pixel), channel, value);
    };
    for (int m0 = blockIdx.y * SimpleProduct::kTile; m0 < sizes.pixels;
         m0 += gridDim.y * SimpleProduct::kTile) {
      SimpleProduct::tile(shared, m0, n0, sizes.pixels, sizes.outputs, places * sizes.channels,
                          left, right, finish);
    }
  }
}

ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = support_floats(desc, {0, 1, 2}, {0});
  if (!support.ok) return support;
  for (const ops::TensorDesc* tensor : {&desc.inputs[0], &desc.inputs[1], &desc.outputs[0]}) {
    if (tensor->extents.count() > int64_t{1} << 30)
      return ops::Support::no("more than 2^30 values");
  }
  return support;
}

Sizes sizes_of(const ops::RunArgs& args) {
  const ops::Conv& op = ops::attributes_of<ops::Conv>(args);
  const TensorView &x = args.inputs[0], &weight = args.inputs[1], &y = args.outputs[0];
  auto extent = [](const TensorView& view, int axis) {
    return static_cast<int>(view.extents[axis]);
  };
  auto pair = [](const std::vector<int64_t>& values, int(&to)[2]) {
    for (int i = 0; i < 2; ++i) to[i] = static_cast<int>(values[i]);
  };
  Sizes sizes{.pixels = static_cast<int>(y.rows()),
              .height = extent(y, 1),
              .width = extent(y, 2),
              .from_height = extent(x, 1),
              .from_width = extent(x, 2),
              .kernel_height = extent(weight, 1),
              .kernel_width = extent(weight, 2),
              .channels = extent(weight, 3),
              .outputs = extent(weight, 0) / static_cast<int>(op.groups),
              .groups = static_cast<int>(op.groups),
              .stride = {},
              .pad = {},
              .dilation = {},
              .activation = op.activation.empty() ? kNoActivation
                                                  : static_cast<int>(unary_kind(op.activation))};
  pair(op.strides, sizes.stride);
  pair(op.pads, sizes.pad);
  pair(op.dilations, sizes.dilation);
  return sizes;
}

void run(const ops::RunArgs& args) {
  const TensorView& y = args.outputs[0];
  if (y.count() == 0) return;
  Sizes sizes = sizes_of(args);
  TensorView bias = input_or_none(args, 2);
  auto tiles = [](int count) {
    return static_cast<unsigned>((count + SimpleProduct::kTile - 1) / SimpleProduct::kTile);
  };
  dim3 grid(tiles(sizes.outputs), std::min(tiles(sizes.pixels), 65535u),
            static_cast<unsigned>(std::min(sizes.groups, 65535)));
  launch(conv_kernel, kConv.name, {grid, dim3(SimpleProduct::kThreads), 0, true}, stream_of(args),
         matrix_of<Any>(args.inputs[0]), matrix_of<Any>(args.inputs[1]), array_of<Any>(bias),
         matrix_of<Any>(y), sizes);
}

}  // namespace

const ops::Implementation kConv = {.name = "conv__any__64x64x16__sm80",
                                   .op = ops::Conv::kName,
                                   .supports = supports,
                                   .prepare = ops::prepare_attributes<ops::Conv>,
                                   .run = run};

}  // namespace tenon::cuda
