#include <algorithm>

#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/attention_rows.cuh"
#include "backends/cuda/kernels/flash_positions.cuh"
#include "backends/cuda/kernels/flash_tile.cuh"
#include "backends/cuda/kernels/linear.h"
#include "backends/cuda/kernels/matrix.cuh"
#include "backends/cuda/kernels/support.h"
#include "backends/cuda/launch.h"
#include "ops/attention.h"

// Flash attention on the tensor cores without a cache: a block takes 192 queries of a head and goes
// over the keys in tiles, the next tile being copied meanwhile.
//
// Decomposed relative positions: a query's products with the tables are as many as the grid has
// rows and columns. The block makes them first, on the tensor cores, for all of the table (row i of
// it is the place row - key row = i - grid + 1) and keeps in shared memory what its queries meet.
// The bias of a score then is two numbers from there; no logits are ever in memory.
namespace tenon::cuda {
namespace {

constexpr int kWarps = 12, kThreads = kWarps * 32, kRows = kWarps * 16;
constexpr int kStages = 2;
constexpr int kPad = 8;        // elements: eight rows of a matrix load then lie in different banks
constexpr int kMostGrid = 64;  // rows and columns whose biases fit beside the tiles

struct Params : AttentionRows {
  const void *rel_h, *rel_w;
  int64_t rel_h_pitch, rel_w_pitch;
  int queries, keys, grid_h, grid_w;
};

constexpr int keys_of(int dim) {
  return dim > 80 ? 32 : 64;
}
// Of queries and tiles in shared memory.
constexpr int64_t tile_bytes(int dim) {
  return static_cast<int64_t>(kRows + kStages * 2 * keys_of(dim)) * (dim + kPad) * 2;
}

template <int kDim>
struct Layout {
  static constexpr int kKeys = keys_of(kDim);
  static constexpr int kPitch = kDim + kPad;
  static constexpr int kQuery = kRows * kPitch, kTile = kKeys * kPitch;  // elements
};

__host__ __device__ constexpr int bias_pitch(int grid_h, int grid_w) {
  return grid_h + grid_w + 1;
}

// `count` rows from `first` on into shared memory; rows behind the end are zeros.
template <class T, int kDim, int kCount>
__device__ __forceinline__ void start_rows(const T* from, int64_t pitch, int first, int end,
                                           T* shared) {
  constexpr int kPieces = kDim / 8;
#pragma unroll
  for (int n = 0; n < (kCount * kPieces + kThreads - 1) / kThreads; ++n) {
    int piece = static_cast<int>(threadIdx.x) + n * kThreads, row = piece / kPieces;
    int column = piece % kPieces * 8;
    if (row >= kCount) break;
    const T* at = from + min(first + row, end - 1) * pitch + column;
    device::copy_async(device::shared_address(shared + row * Layout<kDim>::kPitch + column), at,
                       first + row < end);
  }
}

// What is added to scores.
enum class Bias {
  None,
  Positions,     // looked up for every key
  RowPositions,  // a tile of keys is one row of the grid: columns' biases stay in registers
};

template <class T, int kDim, Bias kBias>
__global__ void __launch_bounds__(kThreads, 1) attention_flash_kernel(Params p) {
  using Sizes = Layout<kDim>;
  constexpr int kKeys = Sizes::kKeys;
  using Flash = device::FlashTile<T, kDim, kKeys, Sizes::kPitch>;
  // Rounding weights once costs 2^-11 each in f16; bf16 would lose 2^-8.
  constexpr bool kSplitWeights = !std::is_same_v<T, device::f16>;
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  T* queries = reinterpret_cast<T*>(shared_bytes);
  T* tiles = queries + Sizes::kQuery;
  float* biases = reinterpret_cast<float*>(tiles + kStages * 2 * Sizes::kTile);
  device::let_next_start();
  device::wait_for_previous();

  int first_query = blockIdx.x * kRows, batch = blockIdx.z;
  int64_t column = static_cast<int64_t>(blockIdx.y) * kDim;
  const T* q = static_cast<const T*>(p.q) + batch * p.q_batch + column;
  const T* k = static_cast<const T*>(p.k) + batch * p.k_batch + column;
  const T* v = static_cast<const T*>(p.v) + batch * p.v_batch + column;
  auto start_tile = [&](int first, int stage) {
    if (first < p.keys) {
      T* to = tiles + stage * 2 * Sizes::kTile;
      start_rows<T, kDim, kKeys>(k, p.k_pitch, first, p.keys, to);
      start_rows<T, kDim, kKeys>(v, p.v_pitch, first, p.keys, to + Sizes::kTile);
    }
    device::commit_copies();
  };
  start_rows<T, kDim, kRows>(q, p.q_pitch, first_query, p.queries, queries);
  start_tile(0, 0);

  int warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4;
  uint32_t own_queries = device::shared_address(queries + warp * 16 * Sizes::kPitch);
  int bias_row = bias_pitch(p.grid_h, p.grid_w);
  float* own_biases = biases + warp * 16 * bias_row;
  float by_column[kBias == Bias::RowPositions ? kKeys / 8 : 1][4];
  if constexpr (kBias != Bias::None) {
    device::wait_for_copies<0>();
    __syncthreads();
    int first = first_query + warp * 16;
    // The rows of the grid that the queries lie in; their columns where they lie in one.
    int least = first / p.grid_w, most = (first + 15) / p.grid_w;
    int left = least == most ? first % p.grid_w : 0;
    int right = least == most ? left + 15 : p.grid_w - 1;
    device::TableQueries<T, kDim> tables([&](int query, int piece) {
      return own_queries + (query * Sizes::kPitch + piece * 8) * 2;
    });
    // Behind the last query there is nothing to look up.
    most = min(most, p.grid_h - 1);
    device::make_bias(
        tables, static_cast<const T*>(p.rel_h), p.rel_h_pitch, p.grid_h, least, most,
        [&](int row) { return (first + row) / p.grid_w; }, own_biases, bias_row);
    device::make_bias(
        tables, static_cast<const T*>(p.rel_w), p.rel_w_pitch, p.grid_w, left, right,
        [&](int row) { return (first + row) % p.grid_w; }, own_biases + p.grid_h, bias_row);
    __syncwarp();
    if constexpr (kBias == Bias::RowPositions) {
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          by_column[n][i] =
              own_biases[(g + Flash::half_of(i) * 8) * bias_row + p.grid_h + Flash::key_of(n, i)];
        }
      }
    }
  }

  Flash flash;
  float factor = p.scale * device::kLog2E;
  for (int first = 0, stage = 0; first < p.keys; first += kKeys, stage ^= 1) {
    start_tile(first + kKeys, stage ^ 1);
    device::wait_for_copies<1>();
    __syncthreads();
    uint32_t keys = device::shared_address(tiles + stage * 2 * Sizes::kTile);
    typename Flash::Scores scores;
    Flash::multiply(own_queries, keys, scores);
    if constexpr (kBias == Bias::RowPositions) {
      const float* by_row = own_biases + g * bias_row + first / kKeys;
      float of_row[2] = {by_row[0], by_row[8 * bias_row]};
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          scores[n][i] = fmaf(scores[n][i], factor, by_column[n][i]) + of_row[Flash::half_of(i)];
        }
      }
    } else {
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          int key = first + Flash::key_of(n, i);
          float value = scores[n][i] * factor;
          if constexpr (kBias == Bias::Positions) {
            const float* bias = own_biases + (g + Flash::half_of(i) * 8) * bias_row;
            int row = min(key, p.keys - 1) / p.grid_w, at = min(key, p.keys - 1) - row * p.grid_w;
            value += bias[row] + bias[p.grid_h + at];
          }
          scores[n][i] = key < p.keys ? value : -INFINITY;
        }
      }
    }
    flash.weigh(scores);
    flash.template accumulate<kSplitWeights>(scores, keys + Sizes::kTile * 2);
    __syncthreads();
  }

  device::store_rows<kDim>(p, flash, [&](int row) {
    int query = first_query + warp * 16 + row;
    return query < p.queries ? batch * p.out_batch + query * p.out_pitch + column : int64_t{-1};
  });
}

int64_t bias_bytes(int grid_h, int grid_w) {
  int64_t floats = grid_h > 0 ? kRows * bias_pitch(grid_h, grid_w) : 0;
  return floats * static_cast<int64_t>(sizeof(float));
}

// Split weights of the largest head leave no registers for columns' biases.
template <class T, int kDim>
constexpr bool kKeepsColumns = !(std::is_same_v<T, device::bf16> && kDim == 80);

template <class T, int kDim>
void launch_dim(const Params& p, int heads, int batches, cudaStream_t stream) {
  auto with = [&](auto kernel, int64_t more_bytes) {
    LaunchShape shape{dim3(static_cast<unsigned>((p.queries + kRows - 1) / kRows),
                           static_cast<unsigned>(heads), static_cast<unsigned>(batches)),
                      dim3(kThreads), tile_bytes(kDim) + more_bytes, true};
    allow_shared_bytes(reinterpret_cast<const void*>(kernel), shape.shared_bytes);
    launch(kernel, "attention_flash", shape, stream, p);
  };
  if (p.grid_h == 0) {
    with(attention_flash_kernel<T, kDim, Bias::None>, 0);
  } else if (kKeepsColumns<T, kDim> && p.grid_w == keys_of(kDim)) {
    constexpr Bias kBias = kKeepsColumns<T, kDim> ? Bias::RowPositions : Bias::Positions;
    with(attention_flash_kernel<T, kDim, kBias>, bias_bytes(p.grid_h, p.grid_w));
  } else {
    with(attention_flash_kernel<T, kDim, Bias::Positions>, bias_bytes(p.grid_h, p.grid_w));
  }
}

template <class T>
void launch_flash(const Params& p, int64_t head_dim, int heads, int batches, cudaStream_t stream) {
  switch (head_dim) {
    case 16:
      return launch_dim<T, 16>(p, heads, batches, stream);
    case 32:
      return launch_dim<T, 32>(p, heads, batches, stream);
    case 64:
      return launch_dim<T, 64>(p, heads, batches, stream);
    case 80:
      return launch_dim<T, 80>(p, heads, batches, stream);
    default:
      return launch_dim<T, 128>(p, heads, batches, stream);
  }
}

ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = support_attention_rows(desc, {16, 32, 64, 80, 128});
  if (!support.ok) return support;
  auto op = ops::read_attributes<ops::Attention>(*desc.attributes);
  if (op.window > 0) return ops::Support::no("has windows");
  if (op.grid_h > kMostGrid || op.grid_w > kMostGrid) {
    return ops::Support::no("a side of the grid is above 64");
  }
  return support;
}

void run(const ops::RunArgs& args) {
  const ops::Attention& op = ops::attributes_of<ops::Attention>(args);
  const TensorView& out = args.outputs[0];
  if (out.count() == 0) return;
  TensorView rel_h = input_or_none(args, 3), rel_w = input_or_none(args, 4);
  bool biased = rel_h.defined();
  int64_t shared = tile_bytes(static_cast<int>(op.head_dim));
  if (biased) shared += bias_bytes(static_cast<int>(op.grid_h), static_cast<int>(op.grid_w));
  // Cards before Hopper have less.
  if (!rows_fit(args) || shared > current_card().shared_bytes) return kAttention.run(args);
  Params params{attention_rows(args, op),
                rel_h.data,
                rel_w.data,
                biased ? rel_h.strides[0] : 0,
                biased ? rel_w.strides[0] : 0,
                static_cast<int>(out.extents[1]),
                static_cast<int>(args.inputs[1].extents[1]),
                biased ? static_cast<int>(op.grid_h) : 0,
                biased ? static_cast<int>(op.grid_w) : 0};
  auto heads = static_cast<int>(op.heads), batches = static_cast<int>(out.extents[0]);
  if (args.inputs[0].dtype == DType::BF16) {
    launch_flash<device::bf16>(params, op.head_dim, heads, batches, stream_of(args));
  } else {
    launch_flash<device::f16>(params, op.head_dim, heads, batches, stream_of(args));
  }
}

}  // namespace

const ops::Implementation kAttentionFlash = {.name = "attention__f16_bf16__flash__sm80",
                                             .op = ops::Attention::kName,
                                             .supports = supports,
                                             .prepare = ops::prepare_attributes<ops::Attention>,
                                             .run = run};

}  // namespace tenon::cuda
