#include <algorithm>

#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/attention_rows.cuh"
#include "backends/cuda/kernels/flash_tile.cuh"
#include "backends/cuda/kernels/linear.h"
#include "backends/cuda/kernels/matrix.cuh"
#include "backends/cuda/kernels/support.h"
#include "backends/cuda/launch.h"
#include "ops/attention.h"

// Attention of at most 16 queries to many keys, as of a prompt's tokens to a picture: a block a
// head of one batch, whose warps each go over every sixteenth tile of keys. What they found is put
// together at the end.
namespace tenon::cuda {
namespace {

constexpr int kWarps = 16, kThreads = kWarps * 32;
constexpr int kRows = 16, kKeys = 32, kStages = 2, kPad = 8;

struct Params : AttentionRows {
  int queries, keys;
};

template <int kDim>
struct Layout {
  static constexpr int kPitch = kDim + kPad;
  static constexpr int kQuery = kRows * kPitch, kTile = kKeys * kPitch;  // elements
  static constexpr int kWarpTiles = kStages * 2 * kTile;
  static constexpr int kFound = kRows * (kDim + 2);  // floats a warp leaves
  static constexpr int kTileBytes = 2 * (kQuery + kWarps * kWarpTiles);
  static constexpr int kFoundBytes = 4 * kWarps * kFound;
  static constexpr int kBytes = kTileBytes > kFoundBytes ? kTileBytes : kFoundBytes;
};

// `kCount` rows from `first` on into shared memory by `threads` threads; rows behind the end are
// zeros.
template <class T, int kDim, int kCount>
__device__ __forceinline__ void start_rows(const T* from, int64_t pitch, int first, int end,
                                           int thread, int threads, T* shared) {
  constexpr int kPieces = kDim / 8;
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 860
#pragma unroll 1  // its addresses would be the 129th register
#endif
  for (int piece = thread; piece < kCount * kPieces; piece += threads) {
    int row = piece / kPieces, column = piece % kPieces * 8;
    const T* at = from + min(first + row, end - 1) * pitch + column;
    device::copy_async(device::shared_address(shared + row * Layout<kDim>::kPitch + column), at,
                       first + row < end);
  }
}

template <class T, int kDim>
__global__ void __launch_bounds__(kThreads) attention_few_queries_kernel(Params p) {
  using Sizes = Layout<kDim>;
  using Flash = device::FlashTile<T, kDim, kKeys, Sizes::kPitch>;
  constexpr bool kSplitWeights = !std::is_same_v<T, device::f16>;
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  T* queries = reinterpret_cast<T*>(shared_bytes);
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  T* tiles = queries + Sizes::kQuery + warp * Sizes::kWarpTiles;
  device::let_next_start();
  device::wait_for_previous();

  int batch = blockIdx.y;
  int64_t column = static_cast<int64_t>(blockIdx.x) * kDim;
  const T* q = static_cast<const T*>(p.q) + batch * p.q_batch + column;
  const T* k = static_cast<const T*>(p.k) + batch * p.k_batch + column;
  const T* v = static_cast<const T*>(p.v) + batch * p.v_batch + column;
  auto start_tile = [&](int first, int stage) {
    if (first < p.keys) {
      T* to = tiles + stage * 2 * Sizes::kTile;
      start_rows<T, kDim, kKeys>(k, p.k_pitch, first, p.keys, lane, 32, to);
      start_rows<T, kDim, kKeys>(v, p.v_pitch, first, p.keys, lane, 32, to + Sizes::kTile);
    }
    device::commit_copies();
  };
  start_rows<T, kDim, kRows>(q, p.q_pitch, 0, p.queries, threadIdx.x, kThreads, queries);
  start_tile(warp * kKeys, 0);
  device::wait_for_copies<0>();
  __syncthreads();

  Flash flash;
  float factor = p.scale * device::kLog2E;
  uint32_t queries_at = device::shared_address(queries);
  int stage = 0;
  for (int first = warp * kKeys; first < p.keys; first += kWarps * kKeys, stage ^= 1) {
    start_tile(first + kWarps * kKeys, stage ^ 1);
    device::wait_for_copies<1>();
    __syncwarp();
    uint32_t keys_at = device::shared_address(tiles + stage * 2 * Sizes::kTile);
    typename Flash::Scores scores;
    Flash::multiply(queries_at, keys_at, scores);
#pragma unroll
    for (int n = 0; n < kKeys / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        scores[n][i] = first + Flash::key_of(n, i) < p.keys ? scores[n][i] * factor : -INFINITY;
      }
    }
    flash.weigh(scores);
    flash.template accumulate<kSplitWeights>(scores, keys_at + Sizes::kTile * 2);
    __syncwarp();
  }

  // What was found takes the place of queries and tiles.
  device::wait_for_copies<0>();
  __syncthreads();
  float* all_found = reinterpret_cast<float*>(shared_bytes);
  float* found = all_found + warp * Sizes::kFound;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float total = flash.total(half);
    float* row = found + (half * 8 + g) * (kDim + 2);
    if (t == 0) row[kDim] = flash.largest[half], row[kDim + 1] = total;
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
      row[n * 8 + 2 * t] = flash.out[n][2 * half];
      row[n * 8 + 2 * t + 1] = flash.out[n][2 * half + 1];
    }
  }
  __syncthreads();
  device::Array<device::Any> results{p.out, p.out_dtype};
  for (int i = threadIdx.x; i < p.queries * kDim; i += kThreads) {
    const float* row = all_found + i / kDim * (kDim + 2);
    float largest = -INFINITY, sum = 0.0f, out = 0.0f;
    for (int of = 0; of < kWarps; ++of) largest = fmaxf(largest, row[of * Sizes::kFound + kDim]);
    for (int of = 0; of < kWarps; ++of) {
      const float* part = row + of * Sizes::kFound;
      float weight = device::exp2_fast(part[kDim] - largest);
      sum = fmaf(weight, part[kDim + 1], sum);
      out = fmaf(weight, part[i % kDim], out);
    }
    device::store_one(results, batch * p.out_batch + i / kDim * p.out_pitch + column + i % kDim,
                      out / sum);
  }
}

template <class T>
void launch_few(const Params& p, int64_t head_dim, int heads, int batches, cudaStream_t stream) {
  auto with = [&](auto kernel, int64_t bytes) {
    LaunchShape shape{dim3(static_cast<unsigned>(heads), static_cast<unsigned>(batches)),
                      dim3(kThreads), bytes, true};
    allow_shared_bytes(reinterpret_cast<const void*>(kernel), bytes);
    launch(kernel, "attention_few_queries", shape, stream, p);
  };
  if (head_dim == 16) return with(attention_few_queries_kernel<T, 16>, Layout<16>::kBytes);
  with(attention_few_queries_kernel<T, 32>, Layout<32>::kBytes);
}

ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = support_attention_rows(desc, {16, 32});
  if (!support.ok) return support;
  auto op = ops::read_attributes<ops::Attention>(*desc.attributes);
  if (op.window > 0 || (desc.inputs.size() > 3 && desc.inputs[3].present)) {
    return ops::Support::no("has windows or positions");
  }
  if (desc.inputs[0].extents[1] > kRows) return ops::Support::no("more than 16 queries");
  return support;
}

void run(const ops::RunArgs& args) {
  const ops::Attention& op = ops::attributes_of<ops::Attention>(args);
  const TensorView& out = args.outputs[0];
  if (out.count() == 0) return;
  int64_t shared = std::max(Layout<16>::kBytes, Layout<32>::kBytes);
  if (!rows_fit(args) || shared > current_card().shared_bytes) return kAttention.run(args);
  Params params{attention_rows(args, op), static_cast<int>(out.extents[1]),
                static_cast<int>(args.inputs[1].extents[1])};
  auto heads = static_cast<int>(op.heads), batches = static_cast<int>(out.extents[0]);
  if (args.inputs[0].dtype == DType::BF16) {
    launch_few<device::bf16>(params, op.head_dim, heads, batches, stream_of(args));
  } else {
    launch_few<device::f16>(params, op.head_dim, heads, batches, stream_of(args));
  }
}

}  // namespace

const ops::Implementation kAttentionFewQueries = {
    .name = "attention__f16_bf16__few_queries__sm80",
    .op = ops::Attention::kName,
    .supports = supports,
    .prepare = ops::prepare_attributes<ops::Attention>,
    .run = run};

}  // namespace tenon::cuda
