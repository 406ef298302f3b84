#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/linear_epilogue.cuh"
#include "backends/cuda/kernels/simple_product.cuh"
#include "backends/cuda/launch.h"
#include "ops/linear.h"

// The form for everything: any mix of f32, bf16 and f16, any size, any row distance.
namespace tenon::cuda {
namespace {

using device::SimpleProduct;

struct Params {
  const void *x, *weight;
  int64_t x_pitch, weight_pitch;
  DType x_dtype, weight_dtype;
  int m, n, k;
};

__global__ void __launch_bounds__(SimpleProduct::kThreads)
    linear_simple_kernel(Params params, device::Epilogue epilogue) {
  __shared__ SimpleProduct::Shared shared;
  device::let_next_start();
  device::wait_for_previous();
  auto x = [&](int row, int k) {
    return device::load_float(params.x, params.x_dtype, row * params.x_pitch + k);
  };
  auto weight = [&](int output, int k) {
    return device::load_float(params.weight, params.weight_dtype, output * params.weight_pitch + k);
  };
  auto finish = [&](int row, int column, float sum) { epilogue.finish(row, column, sum); };
  int n0 = blockIdx.x * SimpleProduct::kTile;
  for (int m0 = blockIdx.y * SimpleProduct::kTile; m0 < params.m;
       m0 += gridDim.y * SimpleProduct::kTile) {
    SimpleProduct::tile(shared, m0, n0, params.m, params.n, params.k, x, weight, finish);
  }
}

}  // namespace

void run_linear_simple(const LinearCall& call) {
  auto tiles = [](int count) {
    return static_cast<unsigned>((count + SimpleProduct::kTile - 1) / SimpleProduct::kTile);
  };
  Params params{call.x.data,  call.weight.data,  call.x.pitch, call.weight.pitch,
                call.x.dtype, call.weight.dtype, call.m,       call.n,
                call.k};
  LaunchShape shape{dim3(tiles(call.n), std::min(tiles(call.m), 65535u)),
                    dim3(SimpleProduct::kThreads), 0, true};
  launch(linear_simple_kernel, "linear_simple", shape, call.stream, params, epilogue_of(call));
}

const ops::Implementation kLinearSimple = {
    .name = "linear_simple__any__64x64x16__sm80",
    .op = ops::Linear::kName,
    .supports = support_linear,
    .prepare = prepare_linear,
    .run = [](const ops::RunArgs& args) { run_linear_simple(linear_call(args)); }};

}  // namespace tenon::cuda
