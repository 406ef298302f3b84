#include <algorithm>

#include "backends/cuda/cuda_error.h"
#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/device/mma.cuh"
#include "backends/cuda/kernels/dispatch.cuh"
#include "backends/cuda/kernels/linear_epilogue.cuh"
#include "backends/cuda/launch.h"
#include "ops/linear.h"

// Few rows of x: time is the reading of the weight, once. A block makes 8 outputs at a time; its
// warps share the columns of those 8 weight rows and go through them in chunks. Chunks are copied
// into a ring of shared memory that every warp has for itself: the stream needs no barrier of the
// block, and it goes on across the border to the block's next 8 rows. The same loads kept in
// registers were up to a fifth slower.
//
// Products run on the tensor cores: the weight is the [16, 8] operand (8 rows), x the [16, 16] one.
// With plain multiply-adds 16 rows of x would be slower than the memory. Sums over k take k in any
// order, so a lane's 16 bytes (8 neighbours of k) are the operands of two products as they are.
//
// x lies in shared memory. Read through L1 instead, 1024x4096 took 10 us in place of 4.
namespace tenon::cuda {
namespace {

constexpr int kRows = 8, kStep = 32;  // weight rows of a tile, columns of one load of a warp
constexpr int kDepth = 4;             // loads of a chunk
constexpr int kWarp = 32;
constexpr int64_t kMostXBytes = 144 << 10;  // 64 KB of ring and the sums fit beside it

struct Params {
  const void *x, *weight;
  int64_t x_pitch, weight_pitch;
  int m, n, k;
  int tiles, chunks;  // of 8 rows; of a warp for one tile
};

// A lane's way through its tiles and chunks.
template <int kWarps>
struct Cursor {
  int tile, chunk = 0;

  __device__ void advance(const Params& params) {
    if (++chunk < params.chunks) return;
    chunk = 0;
    tile += gridDim.x;
  }
  // The chunk's first.
  __device__ int column() const {
    return (chunk * kWarps + static_cast<int>(threadIdx.x) / kWarp) * kDepth * kStep;
  }
};

// Where the 16 pieces (of 16 bytes) of each of a chunk's 8 rows lie in the ring, and which of them
// lane and load number copy. By quarters: a lane copies what it multiplies, 4 lanes a row, so that
// a copy of the warp takes half a line of 8 rows. By lines: 16 lanes a row, 2 rows at a time; odd
// rows are turned by half a line so that neighbour rows are read from different banks.
struct ByQuarters {
  static constexpr bool kOwnPieces = true;
  __device__ static int copied_row(int, int lane) { return lane / 4; }
  __device__ static int copied_piece(int load, int lane) { return load * 4 + lane % 4; }
  __device__ static int slot(int row, int piece) { return piece / 4 * kWarp + row * 4 + piece % 4; }
};
struct ByLines {
  static constexpr bool kOwnPieces = false;
  __device__ static int copied_row(int load, int lane) { return load * 2 + lane / 16; }
  __device__ static int copied_piece(int, int lane) { return lane % 16; }
  __device__ static int slot(int row, int piece) { return row * 16 + (piece ^ (row % 2 * 4)); }
};

// Starts the copies of one chunk of the weight; nothing behind the last tile.
template <class T, class Order, int kWarps>
__device__ __forceinline__ void copy_chunk(const Params& params, const Cursor<kWarps>& cursor,
                                           uint32_t ring) {
  if (cursor.tile < params.tiles) {
    int lane = threadIdx.x % kWarp;
#pragma unroll
    for (int i = 0; i < kDepth; ++i) {
      int row = Order::copied_row(i, lane), piece = Order::copied_piece(i, lane);
      // Rows behind the last are read as the last and not written.
      const T* from = static_cast<const T*>(params.weight) +
                      min(cursor.tile * kRows + row, params.n - 1) * params.weight_pitch;
      int at = cursor.column() + piece * 8;
      device::copy_async(ring + Order::slot(row, piece) * 16, from + (at < params.k ? at : 0),
                         at < params.k);
    }
  }
  device::commit_copies();
}

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

// Sums of the warps, to be added: twice, so that one barrier a tile is enough.
template <int kWarps, int kHalves>
using Parts = float[2][kWarps][kHalves * 8][kRows];

// kHalves: rows of x by eights. kSlots: chunks of a lane's ring.
template <class T, class Order, int kHalves, int kWarps, int kSlots>
__global__ void __launch_bounds__(kWarps* kWarp, 1)
    linear_gemv_kernel(Params params, device::Epilogue epilogue) {
  __shared__ Parts<kWarps, kHalves> parts;
  extern __shared__ uint4 shared[];
  int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  int g = lane / 4, t = lane % 4;
  uint4* ring = shared + warp * kSlots * kDepth * kWarp;
  uint4* x = shared + kWarps * kSlots * kDepth * kWarp;
  uint32_t ring_address = device::shared_address(ring);

  // The weight does not depend on the previous kernel: its first chunks are under way before that
  // one has ended.
  Cursor<kWarps> ahead{static_cast<int>(blockIdx.x)}, at = ahead;
#pragma unroll
  for (int slot = 0; slot < kSlots - 1; ++slot) {
    copy_chunk<T, Order>(params, ahead, ring_address + slot * kDepth * kWarp * 16);
    ahead.advance(params);
  }
  device::let_next_start();
  device::wait_for_previous();
  stage_x<T>(params, x);

  float sums[4] = {};
  int parity = 0, slot = 0, free_slot = kSlots - 1;
  for (; at.tile < params.tiles; at.advance(params)) {
    device::wait_for_copies<kSlots - 2>();
    // Other lanes' copies have come too, and other lanes have used what the next copies replace.
    if constexpr (!Order::kOwnPieces) __syncwarp();
    copy_chunk<T, Order>(params, ahead, ring_address + free_slot * kDepth * kWarp * 16);
    ahead.advance(params);
    int column = at.column() + t * 8;
#pragma unroll
    for (int i = 0; i < kDepth; ++i) {
      uint4 weight = ring[slot * kDepth * kWarp + Order::slot(g, i * 4 + t)];
      uint4 low = load_x(params, x, g, column + i * kStep), high = make_uint4(0, 0, 0, 0);
      if constexpr (kHalves > 1) high = load_x(params, x, g + 8, column + i * kStep);
      device::mma_16x8x16<T>(sums, {low.x, high.x, low.y, high.y}, weight.x, weight.y);
      device::mma_16x8x16<T>(sums, {low.z, high.z, low.w, high.w}, weight.z, weight.w);
    }
    free_slot = slot;
    slot = slot + 1 == kSlots ? 0 : slot + 1;
    if (at.chunk + 1 < params.chunks) continue;

    parts[parity][warp][g][2 * t] = sums[0];
    parts[parity][warp][g][2 * t + 1] = sums[1];
    if constexpr (kHalves > 1) {
      parts[parity][warp][g + 8][2 * t] = sums[2];
      parts[parity][warp][g + 8][2 * t + 1] = sums[3];
    }
    __syncthreads();
    for (int i = threadIdx.x; i < params.m * kRows; i += kWarps * kWarp) {
      int row = i / kRows, output = at.tile * kRows + i % kRows;
      float sum = parts[parity][0][row][i % kRows];
#pragma unroll
      for (int part = 1; part < kWarps; ++part) sum += parts[parity][part][row][i % kRows];
      if (output < params.n) epilogue.finish(row, output, sum);
    }
    parity ^= 1;
#pragma unroll
    for (float& sum : sums) sum = 0.0f;
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

template <class T, class Order, int kHalves, int kWarps, int kSlots>
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
  auto kernel = linear_gemv_kernel<T, Order, kHalves, kWarps, kSlots>;
  int64_t shared = x_bytes(call.m, call.k) + kWarps * kSlots * kDepth * kWarp * 16;
  allow_shared_bytes(reinterpret_cast<const void*>(kernel), shared);
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

template <class T, class Order, int kHalves>
void launch_shaped(const LinearCall& call, const GemvShape& shape) {
  if (shape.warps == 4 && shape.slots == 4) {
    launch_gemv<T, Order, kHalves, 4, 4>(call, shape.blocks_of_sm);
  } else if (shape.warps == 8 && shape.slots == 4) {
    launch_gemv<T, Order, kHalves, 8, 4>(call, shape.blocks_of_sm);
  } else if (shape.warps == 16 && shape.slots == 3) {
    launch_gemv<T, Order, kHalves, 16, 3>(call, shape.blocks_of_sm);
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
  int64_t n = desc.inputs[1].extents[0], k = desc.inputs[1].extents[1];
  if (linear_rows(desc) > 8 && n % 8 == 0 && has_cublaslt()) {
    return ops::Support::no("cuBLASLt is faster above 8 rows of x");
  }
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

// From measurements on one H200 (bench/cuda/README.md).
GemvShape choose_gemv_shape(const LinearCall& call) {
  int tiles = (call.n + kRows - 1) / kRows, cores = multiprocessors();
  if (x_bytes(call.m, call.k) > 48 << 10 || tiles <= 2 * cores) return {8, 4, 2};
  // Short rows: a block has little of each tile, so few warps share it.
  if (call.k <= 1024) return {4, 4, tiles <= 5 * cores ? 4 : 2};
  if (tiles <= 12 * cores) return {16, 3, 2};
  return {8, 4, 1};
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
    auto run_ordered = [&](auto order) {
      using Order = decltype(order);
      if (call.m <= 8) {
        launch_shaped<T, Order, 1>(call, shape);
      } else {
        launch_shaped<T, Order, 2>(call, shape);
      }
    };
    shape.whole_lines ? run_ordered(ByLines{}) : run_ordered(ByQuarters{});
  };
  call.x.dtype == DType::BF16 ? run_typed(Type<device::bf16>{}) : run_typed(Type<device::f16>{});
}

const ops::Implementation kLinearGemv = {.name = "linear_gemv__f16_bf16__8x1024__sm80",
                                         .op = ops::Linear::kName,
                                         .supports = supports,
                                         .prepare = prepare_linear,
                                         .run = run};

}  // namespace tenon::cuda
