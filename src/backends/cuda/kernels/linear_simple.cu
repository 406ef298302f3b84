#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/linear_epilogue.cuh"
#include "backends/cuda/launch.h"
#include "ops/linear.h"

// The form for everything: any mix of f32, bf16 and f16, any size, any row distance. Tiles go
// through shared memory as f32 and are multiplied in f32, never rounded to tf32.
namespace tenon::cuda {
namespace {

constexpr int kTile = 64, kInner = 16, kThreads = 256, kOwn = 4;
constexpr int kPad = 4;  // keeps the transposing stores of a warp in different banks

struct Params {
  const void *x, *weight;
  int64_t x_pitch, weight_pitch;
  DType x_dtype, weight_dtype;
  int m, n, k;
};

// Rows [first, first + kTile) and columns [k0, k0 + kInner) of a matrix, transposed into `tile`;
// zero outside.
__device__ void load_tile(const void* data, DType dtype, int64_t pitch, int first, int rows, int k0,
                          int k, float (*tile)[kTile + kPad]) {
  for (int i = threadIdx.x; i < kTile * kInner; i += kThreads) {
    int row = i / kInner, column = i % kInner;
    bool inside = first + row < rows && k0 + column < k;
    tile[column][row] =
        inside ? device::load_float(data, dtype, (first + row) * pitch + k0 + column) : 0.0f;
  }
}

__global__ void __launch_bounds__(kThreads)
    linear_simple_kernel(Params params, device::Epilogue epilogue) {
  __shared__ float x_tile[kInner][kTile + kPad], weight_tile[kInner][kTile + kPad];
  __shared__ float finished[kTile][kTile];
  device::let_next_start();
  device::wait_for_previous();
  int n0 = blockIdx.x * kTile;
  int own_row = threadIdx.x / (kTile / kOwn) * kOwn, own_column = threadIdx.x % (kTile / kOwn);
  for (int m0 = blockIdx.y * kTile; m0 < params.m; m0 += gridDim.y * kTile) {
    float sums[kOwn][kOwn] = {};
    for (int k0 = 0; k0 < params.k; k0 += kInner) {
      load_tile(params.x, params.x_dtype, params.x_pitch, m0, params.m, k0, params.k, x_tile);
      load_tile(params.weight, params.weight_dtype, params.weight_pitch, n0, params.n, k0, params.k,
                weight_tile);
      __syncthreads();
#pragma unroll
      for (int i = 0; i < kInner; ++i) {
        float x[kOwn], weight[kOwn];
#pragma unroll
        for (int j = 0; j < kOwn; ++j) {
          x[j] = x_tile[i][own_row + j];
          weight[j] = weight_tile[i][own_column + j * (kTile / kOwn)];
        }
#pragma unroll
        for (int a = 0; a < kOwn; ++a) {
#pragma unroll
          for (int b = 0; b < kOwn; ++b) sums[a][b] = fmaf(x[a], weight[b], sums[a][b]);
        }
      }
      __syncthreads();
    }
#pragma unroll
    for (int a = 0; a < kOwn; ++a) {
#pragma unroll
      for (int b = 0; b < kOwn; ++b) {
        finished[own_row + a][own_column + b * (kTile / kOwn)] = sums[a][b];
      }
    }
    __syncthreads();
    // Through shared memory, so that the epilogue's code stands here once and not per sum.
#pragma unroll 1
    for (int i = threadIdx.x; i < kTile * kTile; i += kThreads) {
      int row = m0 + i / kTile, column = n0 + i % kTile;
      if (row < params.m && column < params.n) {
        epilogue.finish(row, column, finished[i / kTile][i % kTile]);
      }
    }
    __syncthreads();
  }
}

}  // namespace

void run_linear_simple(const LinearCall& call) {
  auto tiles = [](int count) { return static_cast<unsigned>((count + kTile - 1) / kTile); };
  Params params{call.x.data,  call.weight.data,  call.x.pitch, call.weight.pitch,
                call.x.dtype, call.weight.dtype, call.m,       call.n,
                call.k};
  LaunchShape shape{dim3(tiles(call.n), std::min(tiles(call.m), 65535u)), dim3(kThreads), 0, true};
  launch(linear_simple_kernel, "linear_simple", shape, call.stream, params, epilogue_of(call));
}

const ops::Implementation kLinearSimple = {
    .name = "linear_simple__any__64x64x16__sm80",
    .op = ops::Linear::kName,
    .supports = support_linear,
    .prepare = prepare_linear,
    .run = [](const ops::RunArgs& args) { run_linear_simple(linear_call(args)); }};

}  // namespace tenon::cuda
