#include <algorithm>
#include <cstdio>

#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/device/pipeline.cuh"
#include "backends/cuda/kernels/dispatch.cuh"
#include "backends/cuda/kernels/linear_epilogue.cuh"
#include "backends/cuda/launch.h"
#include "ops/linear.h"

// Few rows of x: time is the reading of the weight, once. A block makes 8 outputs at a time, a
// tile. Four warps have the copy engine bring 8 weight rows, a stretch of columns a stage, into a
// ring of shared memory (a thread takes 80 ns to ask for a copy, so that one would not keep up).
// They run ahead over the borders of tiles, and start before the previous kernel has ended, since
// weights lie still. Eight warps share the columns of a stage and multiply; one more adds up what
// they made of a tile and finishes it, so that they need not wait for that. Copies by the lanes
// themselves, 64 bytes of each row at a time, reached 72 to 81 % of the read rate: L2 served two
// requests for every line.
//
// Tiles are divided beforehand. Taken from a counter in global memory, which gives less to a
// multiprocessor that gets less of the memory's rate, they took as long.
//
// Products run on the tensor cores: the weight is the [16, 8] operand (8 rows), x the [16, 16] one.
// With plain multiply-adds 16 rows of x would be slower than the memory. Sums over k take k in any
// order, so a lane's 16 bytes (8 neighbours of k) are the operands of two products as they are.
//
// x lies in shared memory. Read through L1 instead, 1024x4096 took 10 us in place of 4.
namespace tenon::cuda {
namespace {

constexpr int kRows = 8, kStep = 32;  // weight rows of a tile, columns one load of a warp takes
constexpr int kWarps = 8;             // that multiply
constexpr int kCopiers = 4;           // that copy, each its rows of a stage
constexpr int kFinisher = kWarps + kCopiers, kThreads = (kFinisher + 1) * 32;
constexpr int kMostStages = 16;
constexpr int64_t kMostXBytes = 144 << 10;  // enough stages fit beside it
constexpr int64_t kWorthXBytes = 72 << 10;  // more of it takes longer to bring than cuBLASLt does
constexpr int64_t kSharedBytes = 226 << 10;

struct Params {
  const char *x, *weight;
  int64_t x_pitch, weight_pitch;  // bytes
  int m, n, k;
  int tiles, stages;
};

// A stage: 8 rows, 64 bytes further apart than they are long, so that the eight lanes of one access
// (two rows) read from different banks.
template <int kColumns>
struct Stage {
  static constexpr int kRowBytes = kColumns * 2 + 64, kBytes = kRows * kRowBytes;
};

// Distance of rows of x in shared memory, in units of 16 bytes; likewise.
__host__ __device__ constexpr int x_pitch(int k) {
  return (k / 8 + 7) / 8 * 8 + 4;
}

// kHalves: rows of x by eights. Sums stand twice: one tile is finished while the next is made.
template <int kHalves>
struct Shared {
  float sums[2][kWarps][kHalves * 8][kRows];
  uint64_t full[kMostStages], empty[kMostStages];

  __device__ void init(int stages) {
    using device::init_barrier, device::shared_address;
    for (int i = 0; i < stages; ++i) {
      init_barrier(shared_address(full + i), kCopiers * device::kCopyArrivals);
      init_barrier(shared_address(empty + i), kWarps);
    }
    device::publish_barriers();
  }
};

// The two halves of the sums change hands by the block's named barriers: with barriers in shared
// memory (mbarrier) a layer of LLaMA-7B took 122 us in place of 117.
enum Handover : int { kSumsFull = 2, kSumsEmpty = 4 };  // + half; 0 is __syncthreads(), 1 stage_x()
constexpr int kHandoverThreads = (kWarps + 1) * 32;

__device__ __forceinline__ void hand_over(int barrier) {
  __syncwarp();
  asm volatile("bar.arrive %0, %1;" ::"r"(barrier), "n"(kHandoverThreads) : "memory");
}

__device__ __forceinline__ void take_over(int barrier) {
  __syncwarp();
  asm volatile("bar.sync %0, %1;" ::"r"(barrier), "n"(kHandoverThreads) : "memory");
}

// Goes round the stages of the ring; the parity is what a barrier's next phase has.
struct Ring {
  int stage = 0, parity;
  __device__ void advance(int stages) {
    if (++stage == stages) stage = 0, parity ^= 1;
  }
};

// What a copying warp does: its share of the rows of every stage.
template <int kHalves, int kColumns>
__device__ void copy(const Params& p, Shared<kHalves>& shared, uint32_t ring) {
  constexpr int kOwn = kRows / kCopiers;
  if (!device::is_copying()) return;
  int first = (static_cast<int>(threadIdx.x) / 32 - kWarps) * kOwn;
  ring += first * Stage<kColumns>::kRowBytes;
  Ring at{0, 1};
  for (int tile = blockIdx.x; tile < p.tiles; tile += gridDim.x) {
    int row = tile * kRows + first, rows = min(kOwn, p.n - row);
    const char* from = p.weight + row * p.weight_pitch;
    for (int column = 0; column < p.k; column += kColumns) {
      device::wait_barrier(device::shared_address(shared.empty + at.stage), at.parity);
      device::copy_rows<kOwn>(ring + at.stage * Stage<kColumns>::kBytes, Stage<kColumns>::kRowBytes,
                              from + column * 2, p.weight_pitch, rows,
                              min(kColumns, p.k - column) * 2,
                              device::shared_address(shared.full + at.stage));
      at.advance(p.stages);
    }
  }
}

// x into shared memory, by the multiplying warps.
__device__ __forceinline__ void stage_x(const Params& p, uint4* x) {
  constexpr int kOwn = kWarps * 32;
  int units = p.k / 8, pitch = x_pitch(p.k);
  for (int row = 0; row < p.m; ++row) {
    const uint4* from = reinterpret_cast<const uint4*>(p.x + row * p.x_pitch);
#pragma unroll 4
    for (int unit = threadIdx.x; unit < units; unit += kOwn) x[row * pitch + unit] = from[unit];
  }
  asm volatile("bar.sync 1, %0;" ::"n"(kOwn) : "memory");
}

// What one of the multiplying warps does.
template <class T, int kHalves, int kColumns>
__device__ void multiply(const Params& p, Shared<kHalves>& shared, const uint4* ring,
                         const uint4* x) {
  constexpr int kSteps = kColumns / (kWarps * kStep);
  const uint4 zero = make_uint4(0, 0, 0, 0);
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4;
  const uint4 *low_row = x + g * x_pitch(p.k), *high_row = low_row + 8 * x_pitch(p.k);
  bool has_low = g < p.m, has_high = g + 8 < p.m;
  Ring at{0, 0};
  int round = 0;
  for (int tile = blockIdx.x; tile < p.tiles; tile += gridDim.x, ++round) {
    // Two chains of products: one would wait for itself.
    float sums[4] = {}, others[4] = {};
    for (int first = 0; first < p.k; first += kColumns) {
      device::wait_barrier(device::shared_address(shared.full + at.stage), at.parity);
      const uint4* row =
          ring + (at.stage * Stage<kColumns>::kBytes + g * Stage<kColumns>::kRowBytes) / 16;
#pragma unroll
      for (int i = 0; i < kSteps; ++i) {
        // Behind the end of the rows lies what an earlier stage left.
        int unit = (warp * kSteps + i) * (kStep / 8) + t, column = first + unit * 8;
        bool inside = column < p.k;
        uint4 weight = inside ? row[unit] : zero;
        uint4 low = inside && has_low ? low_row[column / 8] : zero, high = zero;
        if constexpr (kHalves > 1) high = inside && has_high ? high_row[column / 8] : zero;
        device::mma_16x8x16<T>(sums, {low.x, high.x, low.y, high.y}, weight.x, weight.y);
        device::mma_16x8x16<T>(others, {low.z, high.z, low.w, high.w}, weight.z, weight.w);
      }
      __syncwarp();
      if (lane == 0) device::arrive(device::shared_address(shared.empty + at.stage));
      at.advance(p.stages);
    }
    int half = round % 2;
    if (round >= 2) take_over(kSumsEmpty + half);
    shared.sums[half][warp][g][2 * t] = sums[0] + others[0];
    shared.sums[half][warp][g][2 * t + 1] = sums[1] + others[1];
    if constexpr (kHalves > 1) {
      shared.sums[half][warp][g + 8][2 * t] = sums[2] + others[2];
      shared.sums[half][warp][g + 8][2 * t + 1] = sums[3] + others[3];
    }
    hand_over(kSumsFull + half);
  }
}

// What the finishing warp does: makes outputs of sums.
template <int kHalves>
__device__ void finish(const Params& p, Shared<kHalves>& shared, const device::Epilogue& epilogue) {
  constexpr int kOwn = kHalves * 8 * kRows / 32;  // sums of a lane
  int lane = threadIdx.x % 32, round = 0;
  for (int tile = blockIdx.x; tile < p.tiles; tile += gridDim.x, ++round) {
    int half = round % 2, output = tile * kRows + lane % kRows;
    float sums[kOwn];
    device::Addends added[kOwn];
    auto row = [&](int i) { return (lane + i * 32) / kRows; };
    auto exists = [&](int i) { return row(i) < p.m && output < p.n; };
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      if (exists(i)) added[i] = epilogue.addends(row(i), output);
    }
    take_over(kSumsFull + half);
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      sums[i] = 0.0f;
#pragma unroll
      for (int warp = 0; warp < kWarps; ++warp) {
        sums[i] += shared.sums[half][warp][row(i)][lane % kRows];
      }
    }
    if (tile + 2 * static_cast<int>(gridDim.x) < p.tiles) hand_over(kSumsEmpty + half);
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      if (exists(i)) epilogue.finish(row(i), output, sums[i], added[i]);
    }
  }
}

template <class T, int kHalves, int kColumns>
__global__ void __launch_bounds__(kThreads, 1)
    linear_gemv_kernel(Params p, device::Epilogue epilogue) {
  __shared__ Shared<kHalves> shared;
  extern __shared__ uint4 dynamic[];  // the ring, then x
  int warp = threadIdx.x / 32;
  uint4* x = dynamic + p.stages * Stage<kColumns>::kBytes / 16;
  if (threadIdx.x == 0) shared.init(p.stages);
  __syncthreads();
  if (warp >= kWarps && warp < kFinisher) {
    copy<kHalves, kColumns>(p, shared, device::shared_address(dynamic));
    __syncwarp();
    device::wait_for_previous();
  } else {
    device::wait_for_previous();
    // Not sooner: what starts now fetches its weights, and the kernels before this one would wait
    // for the memory behind them.
    device::let_next_start();
    if (warp == kFinisher) {
      finish(p, shared, epilogue);
    } else {
      stage_x(p, x);
      multiply<T, kHalves, kColumns>(p, shared, dynamic, x);
    }
  }
}

int64_t x_bytes(int m, int k) {
  return static_cast<int64_t>(m) * x_pitch(k) * 16;
}

template <class T, int kHalves, int kColumns>
void launch_gemv(const LinearCall& call, const GemvShape& gemv) {
  auto ceil_of = [](int a, int b) { return (a + b - 1) / b; };
  int tiles = ceil_of(call.n, kRows);
  int64_t x = x_bytes(call.m, call.k);
  int64_t most =
      (kSharedBytes - static_cast<int64_t>(sizeof(Shared<kHalves>)) - x) / Stage<kColumns>::kBytes;
  int stages = static_cast<int>(std::clamp<int64_t>(gemv.stages, 1, std::min<int64_t>(most, 16)));
  Params params{.x = static_cast<const char*>(call.x.data),
                .weight = static_cast<const char*>(call.weight.data),
                .x_pitch = call.x.pitch * 2,
                .weight_pitch = call.weight.pitch * 2,
                .m = call.m,
                .n = call.n,
                .k = call.k,
                .tiles = tiles,
                .stages = stages};
  auto kernel = linear_gemv_kernel<T, kHalves, kColumns>;
  int64_t shared = x + int64_t{stages} * Stage<kColumns>::kBytes;
  allow_shared_bytes(reinterpret_cast<const void*>(kernel), shared);
  // Every block gets the same number of tiles, to one: no half-empty last round.
  int rounds = ceil_of(tiles, current_card().multiprocessors * gemv.blocks_of_sm);
  LaunchShape shape{dim3(ceil_of(tiles, rounds)), dim3(kThreads), shared, true};
  launch(kernel, "linear_gemv", shape, call.stream, params, epilogue_of(call));
}

template <class T, int kHalves>
void launch_shaped(const LinearCall& call, const GemvShape& shape) {
  if (shape.columns == 512) {
    launch_gemv<T, kHalves, 512>(call, shape);
  } else if (shape.columns == 1024) {
    launch_gemv<T, kHalves, 1024>(call, shape);
  } else if (shape.columns == 2048) {
    launch_gemv<T, kHalves, 2048>(call, shape);
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
  if (k % 8 != 0) return ops::Support::no("rows of the weight are no multiple of 16 bytes");
  int64_t x = x_bytes(static_cast<int>(linear_rows(desc)), static_cast<int>(k));
  if (x > kMostXBytes) return ops::Support::no("x is larger than shared memory");
  if ((linear_rows(desc) > 8 || x > kWorthXBytes) && n % 8 == 0 && has_cublaslt()) {
    return ops::Support::no("cuBLASLt is faster for so much of x");
  }
  return support;
}

// "1024x6x1": columns and stages of the ring, blocks on a multiprocessor.
std::vector<std::string> variants(const ops::OpDesc&) {
  return {"512x10x2", "512x16x1", "1024x4x2", "1024x5x2", "1024x6x1", "1024x12x1", "2048x6x1"};
}

GemvShape shape_of(const LinearCall& call) {
  GemvShape shape = choose_gemv_shape(call);
  if (call.variant.empty()) return shape;
  int read = std::sscanf(std::string(call.variant).c_str(), "%dx%dx%d", &shape.columns,
                         &shape.stages, &shape.blocks_of_sm);
  if (read != 3) throw Error(ErrorCode::Internal, "no such GEMV variant").got(call.variant);
  return shape;
}

void run(const ops::RunArgs& args) {
  LinearCall call = linear_call(args);
  if (!fits_gemv(call)) return run_linear_simple(call);
  run_gemv(call, shape_of(call));
}

}  // namespace

// From measurements on one H200 (bench/cuda/README.md). Shapes that leave shared memory to the next
// product's blocks are slower: some multiprocessors then get two of them and some none.
GemvShape choose_gemv_shape(const LinearCall& call) {
  GemvShape shape{.columns = 1024, .stages = 5, .blocks_of_sm = 2};
  if (x_bytes(call.m, call.k) > 24 << 10) shape.stages = 12, shape.blocks_of_sm = 1;
  return shape;
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
                                         .run = run,
                                         .variants = variants};

}  // namespace tenon::cuda
