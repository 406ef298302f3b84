#include <algorithm>

#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/device/functions.cuh"
#include "backends/cuda/kernels/device/load.cuh"
#include "backends/cuda/kernels/linear.h"
#include "backends/cuda/kernels/support.h"
#include "backends/cuda/launch.h"
#include "base/checked.h"
#include "ops/conv.h"

// A convolution as a product of the library: what the kernel sees from each pixel of y is written
// side by side first, in units of 16 bytes, and is then a row of x. A kernel of one place at every
// pixel needs no writing.
namespace tenon::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kAlignment = 256;

struct Sizes {
  int height, width, from_height, from_width, kernel_width, places, units;  // units of a pixel of x
  int stride[2], pad[2], dilation[2];
};

__global__ void __launch_bounds__(kThreads)
    patches_kernel(const uint4* x, uint4* to, Sizes sizes, int64_t pixels) {
  device::let_next_start();
  device::wait_for_previous();
  int64_t count = pixels * sizes.places * sizes.units;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < count;
       i += static_cast<int64_t>(gridDim.x) * kThreads) {
    int unit = static_cast<int>(i % sizes.units);
    int64_t rest = i / sizes.units;
    int place = static_cast<int>(rest % sizes.places);
    int64_t pixel = rest / sizes.places;
    int row = static_cast<int>(pixel / sizes.width % sizes.height) * sizes.stride[0] -
              sizes.pad[0] + place / sizes.kernel_width * sizes.dilation[0];
    int column = static_cast<int>(pixel % sizes.width) * sizes.stride[1] - sizes.pad[1] +
                 place % sizes.kernel_width * sizes.dilation[1];
    uint4 value = make_uint4(0, 0, 0, 0);
    if (row >= 0 && row < sizes.from_height && column >= 0 && column < sizes.from_width) {
      int64_t picture = pixel / sizes.width / sizes.height;
      value =
          x[((picture * sizes.from_height + row) * sizes.from_width + column) * sizes.units + unit];
    }
    to[i] = value;
  }
}

bool is_one_place(const ops::Conv& op, const Extents& weight) {
  auto all = [](const std::vector<int64_t>& values, int64_t wanted) {
    return std::all_of(values.begin(), values.end(), [&](int64_t v) { return v == wanted; });
  };
  return weight[1] * weight[2] == 1 && all(op.strides, 1) && all(op.pads, 0);
}

int64_t patch_bytes(const Extents& y, const Extents& weight, DType dtype) {
  int64_t row = checked_mul<int64_t>(weight[1] * weight[2], weight[3], "patch");
  int64_t rows = checked_mul<int64_t>(checked_mul<int64_t>(y[0], y[1], "pixels"), y[2], "pixels");
  int64_t bytes = checked_mul<int64_t>(checked_mul<int64_t>(rows, row, "patches"),
                                       dtype_bits(dtype) / 8, "patches");
  return round_up(bytes, kAlignment) + kAlignment;
}

ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = kConv.supports(desc);
  if (!support.ok) return support;
  auto op = ops::read_attributes<ops::Conv>(*desc.attributes);
  const Extents& weight = desc.inputs[1].extents;
  DType dtype = desc.inputs[0].dtype;
  if (op.groups != 1) return ops::Support::no("has groups");
  if (dtype != desc.inputs[1].dtype) return ops::Support::no("x and weight are of two types");
  if (weight[3] * (dtype_bits(dtype) / 8) % 16 != 0) {
    return ops::Support::no("channels do not fill units of 16 bytes");
  }
  if (!has_cublaslt()) return ops::Support::no("no cuBLASLt");
  if (patch_bytes(desc.outputs[0].extents, weight, dtype) > int64_t{1} << 32) {
    return ops::Support::no("patches of more than 4 GiB");
  }
  return support;
}

int64_t workspace_bytes(const ops::OpDesc& desc) {
  const Extents &y = desc.outputs[0].extents, &weight = desc.inputs[1].extents;
  return linear_workspace_bytes(y[0] * y[1] * y[2], weight[0], desc.outputs[0].dtype) +
         patch_bytes(y, weight, desc.inputs[0].dtype);
}

std::byte* write_patches(const ops::RunArgs& args, const ops::Conv& op, std::byte* to) {
  const TensorView &x = args.inputs[0], &weight = args.inputs[1], &y = args.outputs[0];
  auto extent = [](const TensorView& view, int axis) {
    return static_cast<int>(view.extents[axis]);
  };
  Sizes sizes{.height = extent(y, 1),
              .width = extent(y, 2),
              .from_height = extent(x, 1),
              .from_width = extent(x, 2),
              .kernel_width = extent(weight, 2),
              .places = extent(weight, 1) * extent(weight, 2),
              .units = extent(weight, 3) * static_cast<int>(dtype_bits(x.dtype)) / 128,
              .stride = {},
              .pad = {},
              .dilation = {}};
  for (int i = 0; i < 2; ++i) {
    sizes.stride[i] = static_cast<int>(op.strides[i]);
    sizes.pad[i] = static_cast<int>(op.pads[i]);
    sizes.dilation[i] = static_cast<int>(op.dilations[i]);
  }
  int64_t units = y.rows() * sizes.places * sizes.units;
  int64_t blocks = std::min<int64_t>((units + kThreads - 1) / kThreads, 1 << 20);
  launch(patches_kernel, "conv_patches",
         {dim3(static_cast<unsigned>(blocks)), dim3(kThreads), 0, true}, stream_of(args),
         static_cast<const uint4*>(x.data), reinterpret_cast<uint4*>(to), sizes, y.rows());
  return to;
}

void run(const ops::RunArgs& args) {
  const ops::Conv& op = ops::attributes_of<ops::Conv>(args);
  const TensorView &x = args.inputs[0], &weight = args.inputs[1], &y = args.outputs[0];
  if (y.count() == 0) return;
  bool fits = x.is_contiguous() && weight.is_contiguous() && y.is_contiguous() &&
              reinterpret_cast<uintptr_t>(x.data) % 16 == 0;
  if (!fits) return kConv.run(args);
  TensorView bias = input_or_none(args, 2);
  int64_t row = weight.extents[1] * weight.extents[2] * weight.extents[3];
  auto address = reinterpret_cast<uintptr_t>(args.workspace.data());
  auto* patches = reinterpret_cast<std::byte*>(round_up(static_cast<int64_t>(address), kAlignment));
  LinearCall call;
  call.x = {x.data, x.dtype, row};
  call.workspace = args.workspace;
  if (!is_one_place(op, weight.extents)) {
    call.x.data = write_patches(args, op, patches);
    call.workspace = args.workspace.subspan(
        static_cast<size_t>(patch_bytes(y.extents, weight.extents, x.dtype)));
  }
  call.weight = {weight.data, weight.dtype, row};
  call.y = {y.data, y.dtype, y.columns()};
  if (bias.defined()) call.bias = bias.data, call.bias_dtype = bias.dtype;
  call.activation =
      op.activation.empty() ? kNoActivation : static_cast<int>(unary_kind(op.activation));
  call.m = static_cast<int>(y.rows());
  call.n = static_cast<int>(y.columns());
  call.k = static_cast<int>(row);
  call.bucket_rows = call.m;
  call.stream = stream_of(args);
  run_linear(call);
}

}  // namespace

const ops::Implementation kConvGemm = {.name = "conv_gemm__any",
                                       .op = ops::Conv::kName,
                                       .supports = supports,
                                       .prepare = ops::prepare_attributes<ops::Conv>,
                                       .workspace_bytes = workspace_bytes,
                                       .run = run};

}  // namespace tenon::cuda
