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
// x lies in shared memory. Read through L1 instead, every product waited for L2 at its turn: half
// the rate.
namespace tenon::cuda {
namespace {

constexpr int kRows = 8, kStep = 32;  // weight rows of a tile, columns of one load of a warp
constexpr int kWarp = 32;
constexpr int64_t kMostXBytes = 200 << 10;  // leaves room for the parts of 16 warps

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

// Distance of rows of x in shared memory, in units of 16 bytes. Neighbour rows are 64 bytes apart
// in the banks: the eight lanes of an access read two rows.
__host__ __device__ constexpr int x_pitch(int k) {
  return (k / 8 + 7) / 8 * 8 + 4;
}

template <class T>
__device__ void stage_x(const Params& params, uint4* shared) {
  int pitch = x_pitch(params.k);
  for (int row = 0; row < params.m; ++row) {
    const T* from = static_cast<const T*>(params.x) + row * params.x_pitch;
    for (int unit = threadIdx.x; unit < params.k / 8; unit += blockDim.x) {
      shared[row * pitch + unit] = reinterpret_cast<const uint4*>(from)[unit];
    }
  }
  __syncthreads();
}

// 8 columns of a row of x, zero outside.
__device__ __forceinline__ uint4 load_x(const Params& params, const uint4* shared, int row,
                                        int column) {
  if (row >= params.m || column >= params.k) return make_uint4(0, 0, 0, 0);
  return shared[row * x_pitch(params.k) + column / 8];
}

// kHalves: rows of x by eights.
template <class T, int kHalves, int kWarps, int kDepth>
__global__ void __launch_bounds__(kWarps* kWarp, 1)
    linear_gemv_kernel(Params params, device::Epilogue epilogue) {
  // Twice, so that one barrier a tile is enough.
  __shared__ float parts[2][kWarps][kHalves * 8][kRows];
  extern __shared__ uint4 x_shared[];
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
  stage_x<T>(params, x_shared);

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
      uint4 low = load_x(params, x_shared, g, column + i * kStep), high = make_uint4(0, 0, 0, 0);
      if constexpr (kHalves > 1) high = load_x(params, x_shared, g + 8, column + i * kStep);
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

int64_t x_bytes(int m, int k) {
  return static_cast<int64_t>(m) * x_pitch(k) * 16;
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
  auto kernel = linear_gemv_kernel<T, kHalves, kWarps, kDepth>;
  int64_t shared = x_bytes(call.m, call.k);
  if (shared > 32 << 10) allow_shared_bytes(reinterpret_cast<const void*>(kernel), shared);
  // More blocks than run at once would start late, with an empty pipeline.
  int resident = 0;
  check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, kernel, kWarps * kWarp, shared),
        "cudaOccupancyMaxActiveBlocksPerMultiprocessor");
  blocks_of_sm = std::max(1, std::min(blocks_of_sm, resident));
  // Every block gets the same number of tiles, to one: no half-empty last round.
  int rounds = ceil_of(tiles, multiprocessors() * blocks_of_sm);
  LaunchShape shape{dim3(ceil_of(tiles, rounds)), dim3(kWarps * kWarp), shared, true};
  launch(kernel, "linear_gemv", shape, call.stream, params, epilogue_of(call));
}

template <class T, int kHalves>
void launch_shaped(const LinearCall& call, const GemvShape& shape) {
  if (shape.warps == 4 && shape.depth == 8) {
    launch_gemv<T, kHalves, 4, 8>(call, shape.blocks_of_sm);
  } else if (shape.warps == 8 && shape.depth == 8) {
    launch_gemv<T, kHalves, 8, 8>(call, shape.blocks_of_sm);
  } else if (shape.warps == 8 && shape.depth == 4) {
    launch_gemv<T, kHalves, 8, 4>(call, shape.blocks_of_sm);
  } else if (shape.warps == 16 && shape.depth == 8) {
    launch_gemv<T, kHalves, 16, 8>(call, shape.blocks_of_sm);
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
  int64_t k = desc.inputs[1].extents[1];
  if (k % 8 != 0) return ops::Support::no("rows of the weight are no multiple of 16 bytes");
  if (x_bytes(static_cast<int>(linear_rows(desc)), static_cast<int>(k)) > kMostXBytes) {
    return ops::Support::no("x is larger than shared memory");
  }
  return support;
}

void run(const ops::RunArgs& args) {
  LinearCall call = linear_call(args);
  if (!fits_gemv(call)) return run_linear_simple(call);
  run_gemv(call, choose_gemv_shape(call));
}

}  // namespace

GemvShape choose_gemv_shape(const LinearCall& call) {
  int64_t bytes = x_bytes(call.m, call.k);
  int tiles = (call.n + kRows - 1) / kRows;
  // Few outputs: all of a block's weight is under way at once.
  if (tiles <= 2 * multiprocessors() || bytes > 64 << 10) {
    return call.k > 2048 ? GemvShape{16, 8, 1} : GemvShape{8, 4, 3};
  }
  if (bytes > 32 << 10) return {8, 8, 3};
  return {4, 8, 6};
}

bool fits_gemv(const LinearCall& call) {
  return call.m <= kGemvRows && call.k % 8 == 0 && call.k > 0 &&
         x_bytes(call.m, call.k) <= kMostXBytes && call.x.dtype == call.weight.dtype &&
         call.x.dtype != DType::F32 && call.x.is_aligned() && call.weight.is_aligned();
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
