#include "ops/cast.h"

#include <algorithm>

#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/device/load.cuh"
#include "backends/cuda/kernels/dispatch.cuh"
#include "backends/cuda/kernels/support.h"
#include "backends/cuda/launch.h"

namespace tenon::cuda {
namespace {

constexpr int kThreads = 256, kVector = 4;

template <class From, class To>
__global__ void cast_kernel(const From* __restrict__ x, To* __restrict__ y, int64_t count) {
  device::wait_for_previous();
  device::let_next_start();
  int64_t step = static_cast<int64_t>(gridDim.x) * kThreads * kVector;
  int64_t at = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kVector;
  for (; at < count; at += step) {
    if (at + kVector <= count) {
      float values[kVector];
      device::load(x + at, values);
      device::store(y + at, values);
    } else {
      for (int64_t i = at; i < count; ++i) y[i] = device::from_f32<To>(device::to_f32(x[i]));
    }
  }
}

ops::Support supports(const ops::OpDesc& desc) {
  return support_floats(desc, {0}, {0});
}

void run(const ops::RunArgs& args) {
  const TensorView& x = args.inputs[0];
  const TensorView& y = args.outputs[0];
  int64_t count = x.count();
  int64_t blocks = std::min<int64_t>((count + kThreads * kVector - 1) / (kThreads * kVector), 2048);
  LaunchShape shape{dim3(static_cast<unsigned>(blocks)), dim3(kThreads), 0, true};
  dispatch_float(x.dtype, [&](auto from) {
    dispatch_float(y.dtype, [&](auto to) {
      using From = typename decltype(from)::type;
      using To = typename decltype(to)::type;
      launch(cast_kernel<From, To>, kCast.name, shape, stream_of(args), x.as<const From>(),
             y.as<To>(), count);
    });
  });
}

}  // namespace

const ops::Implementation kCast = {
    .name = "cast__any__256x4__sm80", .op = ops::Cast::kName, .supports = supports, .run = run};

}  // namespace tenon::cuda
