#pragma once

#include "backends/cuda/kernels/device/reduce.cuh"
#include "backends/cuda/kernels/matrix.cuh"
#include "backends/cuda/kernels/support.h"
#include "backends/cuda/launch.h"

// What rms_norm and layer_norm share: s = x + residual is kept in registers, the statistics are
// f32, y is made from s before s is rounded into `sum`.
namespace tenon::cuda {

enum class NormKind { Rms, Layer };

struct NormCall {
  TensorView x, weight, bias, residual, y, sum;  // bias, residual, sum may be undefined
  double eps = 0;
  std::string_view name;
};

// T types x, residual and sum; Y types y. Weight and bias are read as what they are.
template <class T, class Y>
struct NormParams {
  Matrix<T> x, residual, sum;
  Matrix<Y> y;
  Matrix<device::Any> weight, bias;
  bool has_residual, has_sum, has_bias;
  int64_t rows, columns;
  float eps;
};

namespace device {

template <bool kWarpARow>
__device__ __forceinline__ float row_sum(float value, float* scratch) {
  if constexpr (kWarpARow) {
    return warp_reduce(value, Sum());
  } else {
    return block_reduce(value, scratch, Sum());
  }
}

// Rows of whole vectors, at most blockDim.x * V * C elements: each thread holds C vectors.
template <NormKind kind, class T, class Y, int V, int C, bool kWarpARow>
__global__ void norm_kernel(NormParams<T, Y> p) {
  __shared__ float scratch[kWarp];
  let_next_start();
  wait_for_previous();
  int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (row >= p.rows) return;  // a whole warp: rows of a block are its warps
  int64_t x_row = p.x.layout.offset(row), y_row = p.y.layout.offset(row);
  int64_t residual_row = p.has_residual ? p.residual.layout.offset(row) : 0;
  int64_t sum_row = p.has_sum ? p.sum.layout.offset(row) : 0;

  float s[C][V];
  float total = 0;
#pragma unroll
  for (int c = 0; c < C; ++c) {
    int64_t at = (static_cast<int64_t>(c) * blockDim.x + threadIdx.x) * V;
#pragma unroll
    for (int i = 0; i < V; ++i) s[c][i] = 0;
    if (at >= p.columns) continue;
    p.x.load(x_row, at, s[c]);
    if (p.has_residual) {
      float r[V];
      p.residual.load(residual_row, at, r);
#pragma unroll
      for (int i = 0; i < V; ++i) s[c][i] += r[i];
    }
    if (p.has_sum) p.sum.store(sum_row, at, s[c]);
#pragma unroll
    for (int i = 0; i < V; ++i) total += kind == NormKind::Rms ? s[c][i] * s[c][i] : s[c][i];
  }
  total = row_sum<kWarpARow>(total, scratch);

  float mean = 0;
  if constexpr (kind == NormKind::Layer) {
    mean = total / static_cast<float>(p.columns);
    total = 0;
#pragma unroll
    for (int c = 0; c < C; ++c) {
      int64_t at = (static_cast<int64_t>(c) * blockDim.x + threadIdx.x) * V;
      if (at >= p.columns) continue;
#pragma unroll
      for (int i = 0; i < V; ++i) total += (s[c][i] - mean) * (s[c][i] - mean);
    }
    total = row_sum<kWarpARow>(total, scratch);
  }
  float scale = 1.0f / sqrtf(total / static_cast<float>(p.columns) + p.eps);

#pragma unroll
  for (int c = 0; c < C; ++c) {
    int64_t at = (static_cast<int64_t>(c) * blockDim.x + threadIdx.x) * V;
    if (at >= p.columns) continue;
    float w[V], b[V];
    p.weight.load(0, at, w);
#pragma unroll
    for (int i = 0; i < V; ++i) b[i] = 0;
    if (p.has_bias) p.bias.load(0, at, b);
#pragma unroll
    for (int i = 0; i < V; ++i) w[i] = (s[c][i] - mean) * scale * w[i] + b[i];
    p.y.store(y_row, at, w);
  }
}

template <int kLanes>
__device__ __forceinline__ float group_sum(float value) {
#pragma unroll
  for (int other = kLanes / 2; other > 0; other /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, other);
  }
  return value;
}

// Rows of 8 kLanes elements without a residual, a few of them for each warp: with a warp a row most
// of the work would be adding up among lanes.
template <NormKind kind, class T, class Y, int kLanes>
__global__ void __launch_bounds__(256) norm_short_kernel(NormParams<T, Y> p) {
  constexpr int V = 8, kColumns = kLanes * V;
  let_next_start();
  wait_for_previous();
  int64_t row = (static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x) / kLanes;
  int at = static_cast<int>(threadIdx.x) % kLanes * V;
  // All lanes take part in the sums.
  bool inside = row < p.rows;
  float s[V] = {}, w[V], b[V] = {}, total = 0;
  if (inside) p.x.load(p.x.layout.offset(row), at, s);
#pragma unroll
  for (int i = 0; i < V; ++i) total += kind == NormKind::Rms ? s[i] * s[i] : s[i];
  total = group_sum<kLanes>(total);
  float mean = 0;
  if constexpr (kind == NormKind::Layer) {
    mean = total / static_cast<float>(kColumns);
    total = 0;
#pragma unroll
    for (int i = 0; i < V; ++i) total += (s[i] - mean) * (s[i] - mean);
    total = group_sum<kLanes>(total);
  }
  float scale = 1.0f / sqrtf(total / static_cast<float>(kColumns) + p.eps);
  p.weight.load(0, at, w);
  if (p.has_bias) p.bias.load(0, at, b);
#pragma unroll
  for (int i = 0; i < V; ++i) w[i] = (s[i] - mean) * scale * w[i] + b[i];
  if (inside) p.y.store(p.y.layout.offset(row), at, w);
}

// Rows of any length and strides, element by element; s is made again in each pass.
template <NormKind kind>
__global__ void norm_any_kernel(NormParams<Any, Any> p) {
  __shared__ float scratch[kWarp];
  let_next_start();
  wait_for_previous();
  int64_t row = blockIdx.x;
  int64_t x_row = p.x.layout.offset(row), y_row = p.y.layout.offset(row);
  int64_t residual_row = p.has_residual ? p.residual.layout.offset(row) : 0;
  int64_t sum_row = p.has_sum ? p.sum.layout.offset(row) : 0;
  auto s_at = [&](int64_t i) {
    float s[1], r[1] = {0};
    p.x.load(x_row, i, s);
    if (p.has_residual) p.residual.load(residual_row, i, r);
    return s[0] + r[0];
  };
  float mean = 0, total = 0;
  if constexpr (kind == NormKind::Layer) {
    for (int64_t i = threadIdx.x; i < p.columns; i += blockDim.x) total += s_at(i);
    mean = block_reduce(total, scratch, Sum()) / static_cast<float>(p.columns);
    total = 0;
  }
  for (int64_t i = threadIdx.x; i < p.columns; i += blockDim.x) {
    float centred = s_at(i) - mean;
    total += centred * centred;
  }
  total = block_reduce(total, scratch, Sum());
  float scale = 1.0f / sqrtf(total / static_cast<float>(p.columns) + p.eps);
  for (int64_t i = threadIdx.x; i < p.columns; i += blockDim.x) {
    float s = s_at(i);
    float w[1], b[1] = {0}, out[1] = {s};
    p.weight.load(0, i, w);
    if (p.has_bias) p.bias.load(0, i, b);
    if (p.has_sum) p.sum.store(sum_row, i, out);
    out[0] = (s - mean) * scale * w[0] + b[0];
    p.y.store(y_row, i, out);
  }
}

}  // namespace device

template <class T, class Y>
NormParams<T, Y> norm_params(const NormCall& call) {
  return {.x = matrix_of<T>(call.x),
          .residual = matrix_of<T>(call.residual),
          .sum = matrix_of<T>(call.sum),
          .y = matrix_of<Y>(call.y),
          .weight = matrix_of<device::Any>(call.weight),
          .bias = matrix_of<device::Any>(call.bias),
          .has_residual = call.residual.defined(),
          .has_sum = call.sum.defined(),
          .has_bias = call.bias.defined(),
          .rows = call.x.rows(),
          .columns = call.x.columns(),
          .eps = static_cast<float>(call.eps)};
}

template <NormKind kind, class T, class Y, int C, int kVector = 8>
void start_norm(const ops::RunArgs& args, const NormCall& call) {
  constexpr int kRowsABlock = 4;
  int64_t rows = call.x.rows(), columns = call.x.columns();
  if (columns <= device::kWarp * kVector * C) {
    LaunchShape shape{dim3(static_cast<unsigned>((rows + kRowsABlock - 1) / kRowsABlock)),
                      dim3(device::kWarp, kRowsABlock), 0, true};
    launch(device::norm_kernel<kind, T, Y, kVector, C, true>, call.name, shape, stream_of(args),
           norm_params<T, Y>(call));
    return;
  }
  int64_t threads = (columns + kVector * C - 1) / (kVector * C);
  threads = (threads + device::kWarp - 1) / device::kWarp * device::kWarp;
  LaunchShape shape{dim3(static_cast<unsigned>(rows)), dim3(static_cast<unsigned>(threads)), 0,
                    true};
  launch(device::norm_kernel<kind, T, Y, kVector, C, false>, call.name, shape, stream_of(args),
         norm_params<T, Y>(call));
}

template <NormKind kind, class T, class Y, int kLanes>
void start_norm_short(const ops::RunArgs& args, const NormCall& call) {
  int64_t blocks = (call.x.rows() * kLanes + 255) / 256;
  launch(device::norm_short_kernel<kind, T, Y, kLanes>, call.name,
         {dim3(static_cast<unsigned>(blocks)), dim3(256), 0, true}, stream_of(args),
         norm_params<T, Y>(call));
}

// A warp a row up to 1024 columns, in vectors that leave no lane idle; a block a row above, with 1,
// 2 or 4 vectors a thread.
template <NormKind kind, class T, class Y>
void start_norm_of(const ops::RunArgs& args, const NormCall& call) {
  int64_t columns = call.x.columns();
  bool plain = !call.residual.defined() && !call.sum.defined();
  if (plain && columns == 32) {
    start_norm_short<kind, T, Y, 4>(args, call);
  } else if (plain && columns == 64) {
    start_norm_short<kind, T, Y, 8>(args, call);
  } else if (columns <= 64) {
    start_norm<kind, T, Y, 1, 2>(args, call);
  } else if (columns <= 256) {
    start_norm<kind, T, Y, 1>(args, call);
  } else if (columns <= 1024) {
    start_norm<kind, T, Y, 4>(args, call);
  } else if (columns <= 8192) {
    start_norm<kind, T, Y, 1>(args, call);
  } else {
    start_norm<kind, T, Y, 2>(args, call);
  }
}

template <NormKind kind>
void run_norm(const ops::RunArgs& args, const NormCall& call) {
  using device::Any, device::bf16, device::f16;
  constexpr int64_t kVector = 8, kMostColumns = 16384;
  bool vectors = call.x.columns() <= kMostColumns;
  for (const TensorView* view :
       {&call.x, &call.weight, &call.bias, &call.residual, &call.y, &call.sum}) {
    vectors = vectors && rows_are_vectors(*view, kVector);
  }
  auto is = [](const TensorView& view, DType dtype) {
    return !view.defined() || view.dtype == dtype;
  };
  bool stream_f32 =
      is(call.x, DType::F32) && is(call.residual, DType::F32) && is(call.sum, DType::F32);
  if (!vectors) {
    LaunchShape shape{dim3(static_cast<unsigned>(call.x.rows())), dim3(256), 0, true};
    launch(device::norm_any_kernel<kind>, call.name, shape, stream_of(args),
           norm_params<Any, Any>(call));
  } else if (stream_f32 && call.y.dtype == DType::BF16) {
    start_norm_of<kind, float, bf16>(args, call);
  } else if (stream_f32 && call.y.dtype == DType::F16) {
    start_norm_of<kind, float, f16>(args, call);
  } else if (is(call.x, DType::F16) && is(call.residual, DType::F16) && is(call.sum, DType::F16) &&
             call.y.dtype == DType::F16) {
    start_norm_of<kind, f16, f16>(args, call);
  } else {
    start_norm_of<kind, Any, Any>(args, call);
  }
}

}  // namespace tenon::cuda
