#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/attention_rows.cuh"
#include "backends/cuda/kernels/device/pipeline.cuh"
#include "backends/cuda/kernels/device/reduce.cuh"
#include "backends/cuda/kernels/device/weights.cuh"
#include "backends/cuda/kernels/device/wgmma.cuh"
#include "backends/cuda/kernels/flash_positions.cuh"
#include "backends/cuda/kernels/support.h"
#include "backends/cuda/launch.h"
#include "backends/cuda/tensor_map.h"
#include "ops/attention.h"

// Attention over a whole picture of 64 cells a row, by wgmma on Hopper. A block takes 128 queries
// of a head, two rows of the grid. One warpgroup has the copy engine bring K and V in tiles of 128
// cells; two multiply, one row of the grid each: one's softmax runs beside the other's products,
// and within each the scores of the next tile are made while the weights of this one meet V.
//
// Decomposed relative positions are made first, as in attention_flash.cu. A tile is two rows of the
// grid, so that what is added for a key's column is the same in every tile and stays in registers,
// and what is added for its row joins the maximum that is taken off.
namespace tenon::cuda {
namespace {

constexpr int kGroup = 128;              // threads of a warpgroup
constexpr int kThreads = 3 * kGroup;     // the last group copies
constexpr int kRows = 128, kKeys = 128;  // of a block, of a tile
constexpr int kWide = 64;                // cells of a row of the grid
constexpr int kStages = 3;
constexpr int kMostHigh = 64;              // rows of the grid
constexpr int kBiasPitch = kMostHigh + 1;  // floats

struct Params : AttentionRows {
  const void *rel_h, *rel_w;
  int64_t rel_h_pitch, rel_w_pitch;
  int cells, grid_h;
};

// Matrices in shared memory: the first 64 elements of all rows in 128 bytes each, then what is left
// of a head of 80 in 32 bytes each.
struct Maps {
  CUtensorMap part[2], rest[2];  // of K and V
};

template <int kDim>
struct Layout {
  static constexpr int kSlab = kRows * 128;  // bytes
  static constexpr int kMatrix = kSlab / 64 * kDim;
  __host__ __device__ static constexpr int tile(int part, int stage) {
    return kMatrix * (1 + part * kStages + stage);
  }
  // Byte offset of 16-byte piece `piece` of query `row`.
  static __device__ __forceinline__ int query_piece(int row, int piece) {
    if (piece < 8) return device::swizzled(row, piece, kRows);
    return kSlab + row * 32 + ((piece - 8) ^ (row / 4 % 2)) * 16;
  }
  static constexpr int kBiases = tile(1, kStages);
  static constexpr int kBytes = kBiases + kRows * kBiasPitch * 4 + 1024;  // slabs lie at 1024
};

struct Barriers {
  uint64_t full[2][kStages], empty[2][kStages];
};

// One warp a part: K or V.
template <int kDim>
__device__ void copy_tiles(const Params& p, const Maps& maps, Barriers& barriers, uint32_t shared) {
  int part = static_cast<int>(threadIdx.x) / 32 % 4;
  if (part > 1 || !device::is_copying()) return;
  // K and V may be one for all batches.
  bool shares = (part ? p.v_batch : p.k_batch) == 0;
  int batch_row = shares ? 0 : static_cast<int>(blockIdx.z) * p.cells;
  int column = static_cast<int>(blockIdx.y) * kDim;
  for (int tile = 0; tile * kKeys < p.cells; ++tile) {
    int stage = tile % kStages;
    uint32_t full = device::shared_address(&barriers.full[part][stage]);
    uint32_t to = shared + Layout<kDim>::tile(part, stage);
    device::wait_barrier(device::shared_address(&barriers.empty[part][stage]),
                         (tile / kStages % 2) ^ 1);
    device::expect_bytes(full, Layout<kDim>::kMatrix);
    device::copy_box(to, &maps.part[part], batch_row + tile * kKeys, column, full);
    if constexpr (kDim > 64) {
      device::copy_box(to + Layout<kDim>::kSlab, &maps.rest[part], batch_row + tile * kKeys,
                       column + 64, full);
    }
  }
}

// One multiplying warpgroup: a row of the grid.
template <class T, int kDim>
class Attention {
 public:
  __device__ Attention(const Params& p, Barriers& barriers, unsigned char* shared)
      : p_(p),
        barriers_(barriers),
        shared_(shared),
        base_(device::shared_address(shared)),
        group_(threadIdx.x / kGroup),
        warp_(threadIdx.x / 32 % 4),
        lane_(threadIdx.x % 32),
        factor_(p.scale * device::kLog2E) {
    own_rows_ = group_ * 64;
    biases_ = reinterpret_cast<float*>(shared + Layout<kDim>::kBiases) +
              (own_rows_ + warp_ * 16) * kBiasPitch;
  }

  __device__ void run() {
    load_queries();
    make_biases();
    int tiles = p_.cells / kKeys;
    if constexpr (device::Weights<T>::kSplit) {
      run_in_turn(tiles);
    } else {
      run_overlapped(tiles);
    }
    store();
  }

 private:
  __device__ void load_queries() {
    constexpr int kPieces = kDim / 8;
    int64_t first = static_cast<int64_t>(blockIdx.x) * kRows + own_rows_;
    const T* q = static_cast<const T*>(p_.q) + blockIdx.z * p_.q_batch + blockIdx.y * kDim;
    for (int i = threadIdx.x % kGroup; i < 64 * kPieces; i += kGroup) {
      int row = i / kPieces, piece = i % kPieces;
      uint4 value = *reinterpret_cast<const uint4*>(q + (first + row) * p_.q_pitch + piece * 8);
      *reinterpret_cast<uint4*>(shared_ + Layout<kDim>::query_piece(own_rows_ + row, piece)) =
          value;
    }
    device::fence_for_products();
    device::sync_warpgroup();
  }

  __device__ void make_biases() {
    int at_column = warp_ * 16, at_row = static_cast<int>(blockIdx.x) * 2 + group_;
    device::TableQueries<T, kDim> tables([&](int query, int piece) {
      return base_ + Layout<kDim>::query_piece(own_rows_ + warp_ * 16 + query, piece);
    });
    device::make_bias(
        tables, static_cast<const T*>(p_.rel_w), p_.rel_w_pitch, kWide, at_column, at_column + 15,
        [&](int query) { return at_column + query; }, biases_, kBiasPitch);
    __syncwarp();
    int g = lane_ / 4, t = lane_ % 4;
#pragma unroll
    for (int i = 0; i < 32; ++i) {
      by_column_[i] = biases_[(g + i / 2 % 2 * 8) * kBiasPitch + i / 4 * 8 + t * 2 + i % 2];
    }
    __syncwarp();
    device::make_bias(
        tables, static_cast<const T*>(p_.rel_h), p_.rel_h_pitch, p_.grid_h, at_row, at_row,
        [&](int) { return at_row; }, biases_, kBiasPitch);
    __syncwarp();
  }

  // The warpgroups issue their products in turns, so that one's softmax meets the other's products.
  __device__ __forceinline__ void wait_for_turn() {
    asm volatile("bar.sync %0, 256;" ::"r"(4 + group_) : "memory");
  }
  __device__ __forceinline__ void pass_turn() {
    asm volatile("bar.arrive %0, 256;" ::"r"(5 - group_) : "memory");
  }

  // Each waits once for every tile but the first, and is passed as many turns.
  __device__ __forceinline__ void run_overlapped(int tiles) {
    if (group_ == 1 && tiles > 1) pass_turn();
    make_scores(0);
    device::wait_for_products<0>();
    take_scores(0);
    weigh(0);
    weights_.take(scores_);
    for (int tile = 0; tile + 1 < tiles; ++tile) {
      wait_for_turn();
      make_scores(tile + 1);
      add_values(tile);
      if (group_ == 0 || tile + 2 < tiles) pass_turn();
      device::wait_for_products<1>();
      take_scores(tile + 1);
      weigh(tile + 1);
      device::wait_for_products<0>();
      take_values(tile);
      rescale();
      weights_.take(scores_);
    }
    add_values(tiles - 1);
    device::wait_for_products<0>();
    take_values(tiles - 1);
  }

  // Weights as two numbers beside the scores of the next tile do not fit the registers.
  __device__ __forceinline__ void run_in_turn(int tiles) {
    for (int tile = 0; tile < tiles; ++tile) {
      make_scores(tile);
      device::wait_for_products<0>();
      take_scores(tile);
      weigh(tile);
      rescale();
      weights_.take(scores_);
      add_values(tile);
      device::wait_for_products<0>();
      take_values(tile);
    }
  }

  // The products of a tile, left under way in a group of their own.
  __device__ __forceinline__ void make_scores(int tile) {
    wait_for_tile(0, tile);
    uint32_t keys = base_ + Layout<kDim>::tile(0, tile % kStages);
    uint32_t queries = base_ + own_rows_ * 128, rest = base_ + Layout<kDim>::kSlab + own_rows_ * 32;
    device::hold(scores_);
    device::begin_products();
#pragma unroll
    for (int step = 0; step < 4; ++step) {
      device::product_64x128<T>(scores_, device::describe_rows(queries + step * 32),
                                device::describe_rows(keys + step * 32), step > 0);
    }
    if constexpr (kDim > 64) {
      device::product_64x128<T>(scores_, device::describe_narrow(rest),
                                device::describe_narrow(keys + Layout<kDim>::kSlab), 1);
    }
    device::commit_products();
  }
  __device__ __forceinline__ void take_scores(int tile) {
    device::hold(scores_);
    release(0, tile);
  }
  __device__ __forceinline__ void add_values(int tile) {
    wait_for_tile(1, tile);
    uint32_t values = base_ + Layout<kDim>::tile(1, tile % kStages);
    device::hold(out_);
    if constexpr (kDim > 64) device::hold(rest_);
    device::begin_products();
#pragma unroll
    for (int step = 0; step < kKeys / 16; ++step) {
      add(weights_.high + 4 * step, values, step);
      if constexpr (device::Weights<T>::kSplit) add(weights_.rest + 4 * step, values, step);
    }
    device::commit_products();
  }
  __device__ __forceinline__ void add(const uint32_t* a, uint32_t values, int step) {
    device::add_product_64x64<T>(
        out_, a[0], a[1], a[2], a[3],
        device::describe_columns(values + step * 2048, Layout<kDim>::kSlab));
    if constexpr (kDim > 64) {
      device::add_product_64x16<T>(
          rest_, a[0], a[1], a[2], a[3],
          device::describe_narrow(values + Layout<kDim>::kSlab + step * 512));
    }
  }
  __device__ __forceinline__ void take_values(int tile) {
    device::hold(out_);
    if constexpr (kDim > 64) device::hold(rest_);
    release(1, tile);
  }
  __device__ __forceinline__ void wait_for_tile(int part, int tile) {
    device::wait_barrier(device::shared_address(&barriers_.full[part][tile % kStages]),
                         tile / kStages % 2);
  }
  __device__ __forceinline__ void release(int part, int tile) {
    __syncwarp();
    if (lane_ == 0) device::arrive(device::shared_address(&barriers_.empty[part][tile % kStages]));
  }

  // Scores become weights relative to the new maxima, in powers of 2; what was summed before is to
  // be multiplied with `rescale_`.
  __device__ __forceinline__ void weigh(int tile) {
    float top[2][2] = {{-INFINITY, -INFINITY}, {-INFINITY, -INFINITY}}, shift[2][2];
#pragma unroll
    for (int i = 0; i < 64; ++i) {
      scores_[i] = fmaf(scores_[i], factor_, by_column_[i % 32]);
      top[i / 32][i / 2 % 2] = fmaxf(top[i / 32][i / 2 % 2], scores_[i]);
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float* by_row = biases_ + (lane_ / 4 + half * 8) * kBiasPitch + 2 * tile;
      float most = fmaxf(top[0][half] + by_row[0], top[1][half] + by_row[1]);
      most = fmaxf(most, __shfl_xor_sync(device::kAllLanes, most, 1));
      most = fmaxf(most, __shfl_xor_sync(device::kAllLanes, most, 2));
      most = fmaxf(most, largest_[half]);
      rescale_[half] = device::exp2_fast(largest_[half] - most);
      largest_[half] = most;
      sum_[half] *= rescale_[half];
      shift[0][half] = by_row[0] - most;
      shift[1][half] = by_row[1] - most;
    }
#pragma unroll
    for (int i = 0; i < 64; ++i) {
      scores_[i] = device::exp2_fast(scores_[i] + shift[i / 32][i / 2 % 2]);
      sum_[i / 2 % 2] += scores_[i];
    }
  }
  __device__ __forceinline__ void rescale() {
#pragma unroll
    for (int i = 0; i < 32; ++i) out_[i] *= rescale_[i / 2 % 2];
    if constexpr (kDim > 64) {
#pragma unroll
      for (int i = 0; i < 8; ++i) rest_[i] *= rescale_[i / 2 % 2];
    }
  }

  __device__ __forceinline__ void store() {
    device::Array<device::Any> results{p_.out, p_.out_dtype};
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float total = sum_[half];
      total += __shfl_xor_sync(device::kAllLanes, total, 1);
      total += __shfl_xor_sync(device::kAllLanes, total, 2);
      float share = 1.0f / total;
      int64_t row =
          static_cast<int64_t>(blockIdx.x) * kRows + own_rows_ + warp_ * 16 + half * 8 + lane_ / 4;
      int64_t to =
          blockIdx.z * p_.out_batch + row * p_.out_pitch + blockIdx.y * kDim + lane_ % 4 * 2;
#pragma unroll
      for (int n = 0; n < 8; ++n) {
        float pair[2] = {out_[4 * n + 2 * half] * share, out_[4 * n + 2 * half + 1] * share};
        results.store(to + n * 8, pair);
      }
      if constexpr (kDim > 64) {
#pragma unroll
        for (int n = 0; n < 2; ++n) {
          float pair[2] = {rest_[4 * n + 2 * half] * share, rest_[4 * n + 2 * half + 1] * share};
          results.store(to + 64 + n * 8, pair);
        }
      }
    }
  }

  const Params& p_;
  Barriers& barriers_;
  unsigned char* shared_;
  uint32_t base_;
  int group_, warp_, lane_, own_rows_;
  float factor_;
  float* biases_;  // [16, kBiasPitch] of the warp: by the key's row
  float by_column_[32];
  float largest_[2] = {-INFINITY, -INFINITY}, sum_[2] = {0.0f, 0.0f}, rescale_[2];
  device::Weights<T> weights_;
  float scores_[64], out_[32] = {}, rest_[kDim > 64 ? 8 : 1] = {};
};

template <class T, int kDim>
__global__ void __launch_bounds__(kThreads, 1)
    attention_grid_kernel(Params p, const __grid_constant__ Maps maps) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  // Registers of a copying and of a multiplying thread; what the launch gives all alike,
  // redistributed.
  constexpr int kCopierRegisters = 40, kMultiplierRegisters = 232;
  __shared__ Barriers barriers;
  extern __shared__ unsigned char dynamic[];
  device::let_next_start();
  unsigned char* shared = dynamic + (-device::shared_address(dynamic) & 1023);
  if (threadIdx.x == 0) {
    for (int part = 0; part < 2; ++part) {
      for (int stage = 0; stage < kStages; ++stage) {
        device::init_barrier(device::shared_address(&barriers.full[part][stage]), 1);
        device::init_barrier(device::shared_address(&barriers.empty[part][stage]), 8);
      }
    }
    device::publish_barriers();
  }
  __syncthreads();
  device::wait_for_previous();
  if (threadIdx.x >= 2 * kGroup) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kCopierRegisters));
    copy_tiles<kDim>(p, maps, barriers, device::shared_address(shared));
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kMultiplierRegisters));
    Attention<T, kDim>(p, barriers, shared).run();
  }
#endif
}

template <class T, int kDim>
void launch_dim(const Params& p, const TensorView& k, const TensorView& v, int heads, int batches,
                cudaStream_t stream) {
  Maps maps{};
  const TensorView* parts[] = {&k, &v};
  for (int part = 0; part < 2; ++part) {
    const TensorView& rows = *parts[part];
    MatrixOfRows matrix{rows.data, rows.dtype, rows.extents[0] * rows.extents[1], rows.extents[2],
                        rows.strides[1]};
    maps.part[part] = describe_matrix(matrix, kKeys, 64);
    if (kDim > 64) maps.rest[part] = describe_matrix(matrix, kKeys, 16);
  }
  auto kernel = attention_grid_kernel<T, kDim>;
  LaunchShape shape{dim3(static_cast<unsigned>(p.cells / kRows), static_cast<unsigned>(heads),
                         static_cast<unsigned>(batches)),
                    dim3(kThreads), Layout<kDim>::kBytes, true};
  allow_shared_bytes(reinterpret_cast<const void*>(kernel), shape.shared_bytes);
  launch(kernel, "attention_grid", shape, stream, p, maps);
}

template <class T>
void launch_grid(const Params& p, const ops::RunArgs& args, const ops::Attention& op) {
  auto heads = static_cast<int>(op.heads), batches = static_cast<int>(args.outputs[0].extents[0]);
  auto with = [&](auto launch) {
    launch(p, args.inputs[1], args.inputs[2], heads, batches, stream_of(args));
  };
  op.head_dim == 64 ? with(launch_dim<T, 64>) : with(launch_dim<T, 80>);
}

ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = support_attention_rows(desc, {64, 80});
  if (!support.ok) return support;
  auto op = ops::read_attributes<ops::Attention>(*desc.attributes);
  if (op.window > 0 || op.grid_w != kWide) return ops::Support::no("no grid of 64 cells a row");
  if (op.grid_h > kMostHigh || op.grid_h % 2 != 0) {
    return ops::Support::no("rows of the grid are odd or more than 64");
  }
  return has_wgmma() ? support : ops::Support::no("the card has no wgmma");
}

// Rows of all batches lie at one distance.
bool is_matrix(const TensorView& view) {
  return view.extents[0] == 1 || view.strides[0] == view.extents[1] * view.strides[1];
}

void run(const ops::RunArgs& args) {
  const ops::Attention& op = ops::attributes_of<ops::Attention>(args);
  const TensorView &out = args.outputs[0], &k = args.inputs[1], &v = args.inputs[2];
  if (out.count() == 0) return;
  bool fits = rows_fit(args) && is_matrix(k) && is_matrix(v) && has_tensor_maps() &&
              k.extents[0] * k.extents[1] <= INT32_MAX;
  if (!fits) return kAttentionFlash.run(args);
  Params params{attention_rows(args, op),   args.inputs[3].data,
                args.inputs[4].data,        args.inputs[3].strides[0],
                args.inputs[4].strides[0],  static_cast<int>(out.extents[1]),
                static_cast<int>(op.grid_h)};
  if (args.inputs[0].dtype == DType::BF16) {
    launch_grid<device::bf16>(params, args, op);
  } else {
    launch_grid<device::f16>(params, args, op);
  }
}

}  // namespace

const ops::Implementation kAttentionGrid = {.name = "attention__f16_bf16__grid64__sm90a",
                                            .op = ops::Attention::kName,
                                            .supports = supports,
                                            .prepare = ops::prepare_attributes<ops::Attention>,
                                            .run = run};

}  // namespace tenon::cuda
