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

// Attention inside windows of at most 16 x 16 cells, on the tensor cores. A block takes one head of
// one window, or a half of its rows of queries where the blocks would else leave many places of
// the card empty: its keys and values are gathered from the rows of the picture, cells beyond the
// grid from the pads, and all lie in shared memory. A row of the window is 16 keys, so that what is
// added for a key's column is the same in every row and stays in registers. A warp takes the
// queries of one row of the window after another; rows beyond the grid are never looked at.
namespace tenon::cuda {
namespace {

constexpr int kColumns = 16;  // of a row of a window, in shared memory
constexpr int kRows = 2;      // of the window, in a step; more want more registers
constexpr int kWarps = 7, kThreads = kWarps * 32;
constexpr int kPad = 8;  // elements: eight rows of a matrix load then lie in different banks

struct Params : AttentionRows {
  const void *rel_h, *rel_w, *pad_k, *pad_v;
  int64_t rel_h_pitch, rel_w_pitch;
  int window, grid_h, grid_w, windows_across;
  int parts = 1;  // blocks of a window
};

constexpr int kBiasPitch = 2 * kColumns + 1;

template <int kDim>
struct Layout {
  static constexpr int kPitch = kDim + kPad;
  static constexpr int kKeys = kRows * kColumns;  // of a step
  static constexpr int kQueries = kWarps * kColumns * kPitch;
  static constexpr int kBiases = kWarps * kColumns * kBiasPitch;
  // K and V of a window of `steps` steps, queries and biases of the warps.
  static constexpr int64_t bytes(int steps) {
    return 2 * (2 * static_cast<int64_t>(steps) * kKeys * kPitch + kQueries) + 4 * kBiases;
  }
};

// Rows [first row, end row) x 16 columns of a window into shared memory. What lies in the window
// but beyond the grid comes from `pad`, where that is given; all else is zero.
template <class T, int kDim>
__device__ __forceinline__ void start_cells(const Params& p, const T* from, int64_t pitch,
                                            const T* pad, int top, int left, int row, int end,
                                            int first_thread, int threads, T* shared) {
  constexpr int kPieces = kDim / 8;
  int count = (end - row) * kColumns * kPieces;
  for (int piece = first_thread; piece < count; piece += threads) {
    int cell = piece / kPieces, at = piece % kPieces * 8;
    int down = row + cell / kColumns, across = cell % kColumns;
    bool in_window = down < p.window && across < p.window;
    bool in_grid = in_window && top + down < p.grid_h && left + across < p.grid_w;
    const T* source = from + at;
    if (in_grid) {
      source += (static_cast<int64_t>(top + down) * p.grid_w + left + across) * pitch;
    } else if (pad) {
      source = pad + at;
    }
    device::copy_async(device::shared_address(shared + cell * (kDim + kPad) + at), source,
                       in_grid || (in_window && pad));
  }
}

// Two blocks of a multiprocessor: at most 128 registers, which split weights do not leave for the
// largest head.
template <class T, int kDim>
constexpr int kLeastBlocks = std::is_same_v<T, device::bf16>&& kDim == 80 ? 1 : 2;

template <class T, int kDim>
__global__ void __launch_bounds__(kThreads, (kLeastBlocks<T, kDim>))
    attention_window_kernel(Params p) {
  using Sizes = Layout<kDim>;
  using Flash = device::FlashTile<T, kDim, Sizes::kKeys, Sizes::kPitch>;
  // Rounding weights once costs 2^-12 each in f16; bf16 would lose 2^-9.
  constexpr bool kSplitWeights = !std::is_same_v<T, device::f16>;
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  int steps = (p.window + kRows - 1) / kRows;
  T* keys = reinterpret_cast<T*>(shared_bytes);
  T* values = keys + steps * Sizes::kKeys * Sizes::kPitch;
  T* queries = values + steps * Sizes::kKeys * Sizes::kPitch;
  float* biases = reinterpret_cast<float*>(queries + Sizes::kQueries);
  device::let_next_start();
  device::wait_for_previous();

  int at = static_cast<int>(blockIdx.x) / p.parts, part = static_cast<int>(blockIdx.x) % p.parts;
  int top = at / p.windows_across * p.window, left = at % p.windows_across * p.window;
  int rows = min(p.window, p.grid_h - top), of_part = (p.window + p.parts - 1) / p.parts;
  int first_row = part * of_part, end_row = min(first_row + of_part, rows);
  if (first_row >= end_row) return;
  int batch = blockIdx.z, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  int g = lane / 4, t = lane % 4;
  int64_t column = static_cast<int64_t>(blockIdx.y) * kDim;
  const T* q = static_cast<const T*>(p.q) + batch * p.q_batch + column;
  auto start_keys = [&](const void* from, int64_t batch_stride, int64_t pitch, const void* pad,
                        T* to) {
    start_cells<T, kDim>(p, static_cast<const T*>(from) + batch * batch_stride + column, pitch,
                         pad ? static_cast<const T*>(pad) + column : nullptr, top, left, 0,
                         steps * kRows, threadIdx.x, kThreads, to);
  };
  start_keys(p.k, p.k_batch, p.k_pitch, p.pad_k, keys);
  start_keys(p.v, p.v_batch, p.v_pitch, p.pad_v, values);

  T* own_queries = queries + warp * kColumns * Sizes::kPitch;
  uint32_t queries_at = device::shared_address(own_queries);
  uint32_t keys_at = device::shared_address(keys), values_at = device::shared_address(values);
  float* own_biases = biases + warp * kColumns * kBiasPitch;
  float factor = p.scale * device::kLog2E;
  bool first = true;
  for (int row = first_row + warp; first || row < end_row; row += kWarps, first = false) {
    if (row < end_row) {
      start_cells<T, kDim>(p, q, p.q_pitch, nullptr, top, left, row, row + 1, lane, 32,
                           own_queries);
    }
    device::commit_copies();
    device::wait_for_copies<0>();
    // The first time keys and values have come, too; all warps pass here then.
    if (first) {
      __syncthreads();
    } else {
      __syncwarp();
    }
    if (row >= end_row) break;

    float by_column[2][4];
    if (p.rel_h) {
      device::TableQueries<T, kDim> tables([&](int query, int piece) {
        return queries_at + (query * Sizes::kPitch + piece * 8) * 2;
      });
      device::make_bias(
          tables, static_cast<const T*>(p.rel_h), p.rel_h_pitch, p.window, row, row,
          [&](int) { return row; }, own_biases, kBiasPitch);
      device::make_bias(
          tables, static_cast<const T*>(p.rel_w), p.rel_w_pitch, p.window, 0, p.window - 1,
          [](int query) { return query; }, own_biases + kColumns, kBiasPitch);
      __syncwarp();
    }
#pragma unroll
    for (int parity = 0; parity < 2; ++parity) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        int across = parity * 8 + 2 * t + i % 2;
        float bias = p.rel_h ? own_biases[(g + i / 2 * 8) * kBiasPitch + kColumns + across] : 0.0f;
        by_column[parity][i] = across < p.window ? bias : -INFINITY;
      }
    }

    Flash flash;
    for (int step = 0; step < steps; ++step) {
      uint32_t offset = step * Sizes::kKeys * Sizes::kPitch * 2;
      typename Flash::Scores scores;
      Flash::multiply(queries_at, keys_at + offset, scores);
#pragma unroll
      for (int down = 0; down < kRows; ++down) {
        int key_row = step * kRows + down;
        float by_row[2];
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          float bias = p.rel_h ? own_biases[(g + half * 8) * kBiasPitch + key_row] : 0.0f;
          by_row[half] = key_row < p.window ? bias : -INFINITY;
        }
#pragma unroll
        for (int parity = 0; parity < 2; ++parity) {
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            float& score = scores[2 * down + parity][i];
            score = fmaf(score, factor, by_column[parity][i]) + by_row[i / 2];
          }
        }
      }
      flash.weigh(scores);
      flash.template accumulate<kSplitWeights>(scores, values_at + offset);
    }

    device::store_rows<kDim>(p, flash, [&](int across) {
      bool inside = across < p.window && left + across < p.grid_w;
      int64_t cell = static_cast<int64_t>(top + row) * p.grid_w + left + across;
      return inside ? batch * p.out_batch + cell * p.out_pitch + column : int64_t{-1};
    });
    __syncwarp();
  }
}

int windows_down(const Params& p) {
  return (p.grid_h + p.window - 1) / p.window;
}

// Loading keys and values takes about as long as a quarter of a window's queries. Two blocks fit a
// multiprocessor: whichever split is through earlier.
int choose_parts(const Params& p, int heads, int batches) {
  if (p.window <= kWarps) return 1;
  int64_t blocks = int64_t{windows_down(p)} * p.windows_across * heads * batches;
  int64_t places = 2 * current_card().multiprocessors;
  int64_t one = (blocks + places - 1) / places * 5, two = (2 * blocks + places - 1) / places * 3;
  return one <= two ? 1 : 2;
}

template <class T, int kDim>
void launch_dim(const Params& p, int heads, int batches, cudaStream_t stream) {
  auto kernel = attention_window_kernel<T, kDim>;
  LaunchShape shape{dim3(static_cast<unsigned>(windows_down(p) * p.windows_across * p.parts),
                         static_cast<unsigned>(heads), static_cast<unsigned>(batches)),
                    dim3(kThreads), Layout<kDim>::bytes((p.window + kRows - 1) / kRows), true};
  allow_shared_bytes(reinterpret_cast<const void*>(kernel), shape.shared_bytes);
  launch(kernel, "attention_window", shape, stream, p);
}

template <class T>
void launch_window(const Params& p, int64_t head_dim, int heads, int batches, cudaStream_t stream) {
  switch (head_dim) {
    case 16:
      return launch_dim<T, 16>(p, heads, batches, stream);
    case 32:
      return launch_dim<T, 32>(p, heads, batches, stream);
    case 64:
      return launch_dim<T, 64>(p, heads, batches, stream);
    default:
      return launch_dim<T, 80>(p, heads, batches, stream);
  }
}

ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = support_attention_rows(desc, {16, 32, 64, 80});
  if (!support.ok) return support;
  auto op = ops::read_attributes<ops::Attention>(*desc.attributes);
  if (op.window == 0) return ops::Support::no("has no windows");
  if (op.window > kColumns) return ops::Support::no("windows are wider than 16 cells");
  return support;
}

void run(const ops::RunArgs& args) {
  const ops::Attention& op = ops::attributes_of<ops::Attention>(args);
  const TensorView& out = args.outputs[0];
  if (out.count() == 0) return;
  TensorView rel_h = input_or_none(args, 3), rel_w = input_or_none(args, 4);
  // Cards before Hopper have less shared memory than the largest window takes.
  int64_t shared = Layout<80>::bytes(8);
  if (!rows_fit(args) || shared > current_card().shared_bytes) return kAttention.run(args);
  bool biased = rel_h.defined();
  auto number = [](int64_t value) { return static_cast<int>(value); };
  Params params{attention_rows(args, op),
                rel_h.data,
                rel_w.data,
                input_or_none(args, 5).data,
                input_or_none(args, 6).data,
                biased ? rel_h.strides[0] : 0,
                biased ? rel_w.strides[0] : 0,
                number(op.window),
                number(op.grid_h),
                number(op.grid_w),
                number((op.grid_w + op.window - 1) / op.window)};
  int heads = number(op.heads), batches = number(out.extents[0]);
  params.parts = choose_parts(params, heads, batches);
  if (args.inputs[0].dtype == DType::BF16) {
    launch_window<device::bf16>(params, op.head_dim, heads, batches, stream_of(args));
  } else {
    launch_window<device::f16>(params, op.head_dim, heads, batches, stream_of(args));
  }
}

}  // namespace

const ops::Implementation kAttentionWindow = {.name = "attention__f16_bf16__window16__sm80",
                                              .op = ops::Attention::kName,
                                              .supports = supports,
                                              .prepare = ops::prepare_attributes<ops::Attention>,
                                              .run = run};

}  // namespace tenon::cuda
