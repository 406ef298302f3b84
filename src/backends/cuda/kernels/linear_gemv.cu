#include <algorithm>

#include "backends/cuda/cuda_error.h"
#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/device/mma.cuh"
#include "backends/cuda/kernels/dispatch.cuh"
#include "backends/cuda/kernels/linear_epilogue.cuh"
#include "backends/cuda/launch.h"
#include "ops/linear.h"

// Few rows of x: time is the reading of the weight, once. A block makes 8 outputs at a time; its
// warps share the columns of those 8 weight rows and go through them in chunks. A lane keeps
// kDepth loads of 16 bytes under way: a load is issued again as soon as its register was used, also
// across the border to the block's next 8 rows, so that the stream does not stop there.
//
// Products run on the tensor cores: the weight is the [16, 8] operand (8 rows), x the [16, 16] one.
// With plain multiply-adds 16 rows of x would be slower than the memory. Sums over k take k in any
// order, so a lane's 16 bytes (8 neighbours of k) are the operands of two products as they are.
//
// x is read through L1, which it has for itself: the weight does not enter L1.
namespace tenon::cuda {
namespace {

constexpr int kRows = 8, kStep = 32;  // weight rows of a tile, columns of one load of a warp
constexpr int kWarp = 32;

struct Params {
  const void *x, *weight;
  int64_t x_pitch, weight_pitch;
  int m, n, k;
  int tiles, chunks;  // of 8 rows; of a warp for one tile
};

// The weight's loads of one chunk.
template <class T, int kWarps, int kDepth>
struct Chunk {
  const T* row;  // of this lane
  int column;    // of this lane's first load

  __device__ Chunk(const Params& params, int tile, int chunk) {
    int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
    // Rows behind the last are read as the last and not written.
    int index = min(tile * kRows + lane / 4, params.n - 1);
    row = static_cast<const T*>(params.weight) + index * params.weight_pitch;
    column = (chunk * kWarps + warp) * kDepth * kStep + lane % 4 * 8;
  }
  __device__ uint4 load(int step, int k) const {
    int at = column + step * kStep;
    return at < k ? device::load_streamed(row + at) : make_uint4(0, 0, 0, 0);
  }
};

// 16 bytes of row `row` of x, zero outside.
template <class T>
__device__ uint4 load_x(const Params& params, int row, int column) {
  if (row >= params.m || column >= params.k) return make_uint4(0, 0, 0, 0);
  const T* at = static_cast<const T*>(params.x) + row * params.x_pitch + column;
  return *reinterpret_cast<const uint4*>(at);
}

// kHalves: rows of x by eights.
template <class T, int kHalves, int kWarps, int kDepth>
__global__ void __launch_bounds__(kWarps* kWarp)
    linear_gemv_kernel(Params params, device::Epilogue epilogue) {
  // Twice, so that one barrier a tile is enough.
  __shared__ float parts[2][kWarps][kHalves * 8][kRows];
  using WeightChunk = Chunk<T, kWarps, kDepth>;
  int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  int g = lane / 4, t = lane % 4;

  // The weight does not depend on the previous kernel: its first loads are under way before that
  // one has ended.
  int tile = blockIdx.x, chunk = 0;
  uint4 weights[kDepth];
  {
    WeightChunk first(params, tile, 0);
#pragma unroll
    for (int i = 0; i < kDepth; ++i) weights[i] = first.load(i, params.k);
  }
  device::let_next_start();
  device::wait_for_previous();

  float sums[4] = {};
  int parity = 0;
  while (tile < params.tiles) {
    bool last = chunk + 1 == params.chunks;
    int next_tile = last ? tile + static_cast<int>(gridDim.x) : tile;
    int next_chunk = last ? 0 : chunk + 1;
    int column = WeightChunk(params, tile, chunk).column;
    WeightChunk next(params, next_tile, next_chunk);
    int next_k = next_tile < params.tiles ? params.k : 0;
#pragma unroll
    for (int i = 0; i < kDepth; ++i) {
      uint4 low = load_x<T>(params, g, column + i * kStep), high = make_uint4(0, 0, 0, 0);
      if constexpr (kHalves > 1) high = load_x<T>(params, g + 8, column + i * kStep);
      device::mma_16x8x16<T>(sums, {low.x, high.x, low.y, high.y}, weights[i].x, weights[i].y);
      device::mma_16x8x16<T>(sums, {low.z, high.z, low.w, high.w}, weights[i].z, weights[i].w);
      weights[i] = next.load(i, next_k);
    }
    if (last) {
      parts[parity][warp][g][2 * t] = sums[0];
      parts[parity][warp][g][2 * t + 1] = sums[1];
      if constexpr (kHalves > 1) {
        parts[parity][warp][g + 8][2 * t] = sums[2];
        parts[parity][warp][g + 8][2 * t + 1] = sums[3];
      }
      __syncthreads();
      for (int i = threadIdx.x; i < params.m * kRows; i += kWarps * kWarp) {
        int row = i / kRows, output = tile * kRows + i % kRows;
        float sum = parts[parity][0][row][i % kRows];
#pragma unroll
        for (int part = 1; part < kWarps; ++part) sum += parts[parity][part][row][i % kRows];
        if (output < params.n) epilogue.finish(row, output, sum);
      }
      parity ^= 1;
#pragma unroll
      for (float& sum : sums) sum = 0.0f;
    }
    tile = next_tile;
    chunk = next_chunk;
  }
}

int multiprocessors() {
  static thread_local int known_device = -1, count = 0;
  int device = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  if (device != known_device) {
    check(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device),
          "cudaDeviceGetAttribute");
    known_device = device;
  }
  return count;
}

template <class T, int kHalves, int kWarps, int kDepth>
void launch_gemv(const LinearCall& call, int blocks_of_sm) {
  auto ceil_of = [](int a, int b) { return (a + b - 1) / b; };
  int tiles = ceil_of(call.n, kRows);
  Params params{call.x.data,
                call.weight.data,
                call.x.pitch,
                call.weight.pitch,
                call.m,
                call.n,
                call.k,
                tiles,
                ceil_of(call.k, kStep * kDepth * kWarps)};
  // Every block gets the same number of tiles, to one: no half-empty last round.
  int rounds = ceil_of(tiles, multiprocessors() * blocks_of_sm);
  LaunchShape shape{dim3(ceil_of(tiles, rounds)), dim3(kWarps * kWarp), 0, true};
  launch(linear_gemv_kernel<T, kHalves, kWarps, kDepth>, "linear_gemv", shape, call.stream, params,
         epilogue_of(call));
}

template <class T, int kHalves>
void launch_shaped(const LinearCall& call, const GemvShape& shape) {
  if (shape.warps == 4 && shape.depth == 8) {
    launch_gemv<T, kHalves, 4, 8>(call, shape.blocks_of_sm);
  } else if (shape.warps == 4 && shape.depth == 16) {
    launch_gemv<T, kHalves, 4, 16>(call, shape.blocks_of_sm);
  } else if (shape.warps == 8 && shape.depth == 8) {
    launch_gemv<T, kHalves, 8, 8>(call, shape.blocks_of_sm);
  } else if (shape.warps == 8 && shape.depth == 4) {
    launch_gemv<T, kHalves, 8, 4>(call, shape.blocks_of_sm);
  } else {
    throw Error(ErrorCode::Internal, "no such GEMV shape");
  }
}

ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = support_linear(desc);
  if (!support.ok) return support;
  DType dtype = desc.inputs[0].dtype;
  if (dtype != desc.inputs[1].dtype) return ops::Support::no("x and weight are of two types");
  if (dtype == DType::F32) return ops::Support::no("x is f32");
  if (linear_rows(desc) > kGemvRows) return ops::Support::no("more than 16 rows of x");
  if (desc.inputs[1].extents[1] % 8 != 0) {
    return ops::Support::no("rows of the weight are no multiple of 16 bytes");
  }
  return support;
}

void run(const ops::RunArgs& args) {
  LinearCall call = linear_call(args);
  if (!fits_gemv(call)) return run_linear_simple(call);
  run_gemv(call, GemvShape{});
}

}  // namespace

bool fits_gemv(const LinearCall& call) {
  return call.m <= kGemvRows && call.k % 8 == 0 && call.k > 0 &&
         call.x.dtype == call.weight.dtype && call.x.dtype != DType::F32 && call.x.is_aligned() &&
         call.weight.is_aligned();
}

void run_gemv(const LinearCall& call, const GemvShape& shape) {
  if (call.m == 0 || call.n == 0) return;
  auto run_typed = [&](auto type) {
    using T = typename decltype(type)::type;
    if (call.m <= 8) {
      launch_shaped<T, 1>(call, shape);
    } else {
      launch_shaped<T, 2>(call, shape);
    }
  };
  call.x.dtype == DType::BF16 ? run_typed(Type<device::bf16>{}) : run_typed(Type<device::f16>{});
}

const ops::Implementation kLinearGemv = {.name = "linear_gemv__f16_bf16__8x1024__sm80",
                                         .op = ops::Linear::kName,
                                         .supports = supports,
                                         .prepare = prepare_linear,
                                         .run = run};

}  // namespace tenon::cuda
