#include <algorithm>

#include "backends/cuda/kernels/device/array.cuh"
#include "backends/cuda/kernels/dispatch.cuh"
#include "backends/cuda/kernels/flash_tile.cuh"
#include "backends/cuda/kernels/paged_attention_tiles.cuh"
#include "backends/cuda/launch.h"

// Prefill, and any mix of prefill and decode: flash attention on the tensor cores by mma.sync. A
// block takes 128 rows, which are tokens of one sequence x the query heads of one kv head,
// and goes over the visible positions in tiles of 32 or 64, the next tile being copied meanwhile. A
// warp has 16 rows; scores, weights and sums stay in its registers.
//
// paged_attention_wgmma.cu does the same on Hopper for heads of 64 and 128.
namespace tenon::cuda {
namespace {

constexpr int kWarp = 32;
constexpr int kStages = 2;
constexpr int kPad = 8;  // elements: eight rows of a matrix load then lie in different banks

template <int kDim>
struct Layout {
  // Short rows: two blocks on a multiprocessor, one multiplies while the other weighs. Long ones
  // have not the registers for that, and get larger tiles.
  static constexpr int kBlocks = kDim > 80 ? 1 : 2;
  static constexpr int kKeys = kDim > 80 ? 64 : 32;  // positions of a tile
  static constexpr int kWarps = 8, kThreads = kWarps * kWarp;
  static constexpr int kRows = kWarps * 16;  // of a block
  static constexpr int kPitch = kDim + kPad;
  static constexpr int kQuery = kRows * kPitch, kTile = kKeys * kPitch;  // elements
  static constexpr int64_t kBytes = (kQuery + kStages * 2 * kTile) * 2;
};

// Rows of q in shared memory, zero where the block has no token.
template <class T, int kDim>
__device__ void load_queries(const AttentionParams& p, const TilePlace& place, int first_head,
                             int group, T* shared) {
  constexpr int kPitch = Layout<kDim>::kPitch, kPieces = kDim / 8;
  bool aligned = reinterpret_cast<uint64_t>(p.q) % 16 == 0 && p.q_pitch % 8 == 0;
  for (int i = threadIdx.x; i < Layout<kDim>::kRows * kPieces; i += Layout<kDim>::kThreads) {
    int row = i / kPieces, column = i % kPieces * 8;
    int token = row / group, head = row % group;
    uint4 value = make_uint4(0, 0, 0, 0);
    if (token < place.tokens) {
      const T* from = static_cast<const T*>(p.q) + (place.first_token + token) * p.q_pitch +
                      (first_head + head) * kDim + column;
      value = device::load_eight(from, aligned);
    }
    *reinterpret_cast<uint4*>(shared + row * kPitch + column) = value;
  }
}

// Copies K and V of one tile after the other. Where the rows of the next tile lie is looked up a
// tile ahead, so that the copies need not wait for the block table.
template <class T, int kDim>
class Copies {
 public:
  __device__ Copies(const AttentionParams& p, int seq, int kv_head, int first, int end)
      : p_(p), seq_(seq), kv_head_(kv_head), first_(first), end_(end) {
    look_up();
  }

  // Starts the copies of the next tile; positions from the end on are zeros.
  __device__ __forceinline__ void start(T* shared) {
    if (first_ < end_) {
#pragma unroll
      for (int n = 0; n < kCount; ++n) {
        int piece = threadIdx.x + n * Sizes::kThreads, row = piece / kPieces;
        int column = piece % kPieces * 8;
        if (row >= Sizes::kKeys) break;
        bool inside = first_ + row < end_;
        const T* from = static_cast<const T*>(p_.cache) + offsets_[n] + column;
        uint32_t to = device::shared_address(shared + row * Sizes::kPitch + column);
        device::copy_async(to, from, inside);
        device::copy_async(to + Sizes::kTile * 2, from + p_.part_stride, inside);
      }
      first_ += Sizes::kKeys;
      look_up();
    }
    device::commit_copies();
  }

 private:
  using Sizes = Layout<kDim>;
  static constexpr int kPieces = kDim / 8;  // of 16 bytes, of a row
  static constexpr int kCount = (Sizes::kKeys * kPieces + Sizes::kThreads - 1) / Sizes::kThreads;

  __device__ __forceinline__ void look_up() {
#pragma unroll
    for (int n = 0; n < kCount; ++n) {
      int row = (static_cast<int>(threadIdx.x) + n * Sizes::kThreads) / kPieces;
      offsets_[n] = device::row_offset(p_, seq_, kv_head_, min(first_ + row, end_ - 1));
    }
  }

  const AttentionParams& p_;
  int seq_, kv_head_, first_, end_;
  int64_t offsets_[kCount];
};

// The 16 rows of a warp; `limits` are the last visible positions of rows g and g + 8.
template <class T, int kDim, class Score>
struct Tile {
  static constexpr int kKeys = Layout<kDim>::kKeys;
  using Flash = device::FlashTile<T, kDim, kKeys, Layout<kDim>::kPitch>;
  Flash flash;
  int limits[2];

  // One tile of positions from `first` on. `whole`: every row sees all of them.
  __device__ __forceinline__ void add(uint32_t queries, uint32_t keys, uint32_t values, int first,
                                      bool whole, const AttentionParams& p, const Score& score,
                                      int head) {
    typename Flash::Scores scores;
    Flash::multiply(queries, keys, scores);
#pragma unroll
    for (int n = 0; n < kKeys / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        int position = first + Flash::key_of(n, i), limit = limits[Flash::half_of(i)];
        scores[n][i] = score(scores[n][i], position, head);
        if (!whole && (position > limit || position < device::first_visible(p, limit))) {
          scores[n][i] = -INFINITY;
        }
      }
    }
    flash.weigh(scores);
    flash.accumulate(scores, values);
  }
};

template <class T, int kDim, class Score>
__global__ void __launch_bounds__(Layout<kDim>::kThreads, Layout<kDim>::kBlocks)
    paged_attention_flash_kernel(AttentionParams p, Score score) {
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  using Sizes = Layout<kDim>;
  constexpr int kKeys = Sizes::kKeys;
  T* queries = reinterpret_cast<T*>(shared_bytes);
  T* tiles = queries + Sizes::kQuery;
  device::let_next_start();
  device::wait_for_previous();

  int group = p.heads / p.kv_heads, tile_tokens = Sizes::kRows / group;
  // Late tiles see most positions, so they come first.
  TilePlace place = device::find_tile(p, static_cast<int>(gridDim.x - 1 - blockIdx.x), tile_tokens);
  if (place.seq < 0) return;
  int kv_head = blockIdx.y, first_head = kv_head * group;
  load_queries<T, kDim>(p, place, first_head, group, queries);

  int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  int begin = device::first_visible(p, place.first_position) / kKeys * kKeys;
  int end = place.first_position + place.tokens;
  Tile<T, kDim, Score> tile;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    // Rows behind the last token see as much as that one; they are not written.
    int token = min((warp * 16 + half * 8 + lane / 4) / group, place.tokens - 1);
    tile.limits[half] = place.first_position + token;
  }
  int head = first_head + (warp * 16 + lane / 4) % group;  // of row g, for score hooks

  Copies<T, kDim> copies(p, place.seq, kv_head, begin, end);
  copies.start(tiles);
  uint32_t query_rows = device::shared_address(queries + warp * 16 * Sizes::kPitch);
  int last_first = device::first_visible(p, end - 1);
  for (int first = begin, stage = 0; first < end; first += kKeys, stage ^= 1) {
    copies.start(tiles + (stage ^ 1) * 2 * Sizes::kTile);
    device::wait_for_copies<1>();
    __syncthreads();
    bool whole = first + kKeys - 1 <= place.first_position && first >= last_first;
    uint32_t keys = device::shared_address(tiles + stage * 2 * Sizes::kTile);
    tile.add(query_rows, keys, keys + Sizes::kTile * 2, first, whole, p, score, head);
    __syncthreads();
  }

  device::Array<device::Any> results{p.out, p.out_dtype};
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float total = tile.flash.total(half);
    int row = warp * 16 + half * 8 + lane / 4, token = row / group;
    if (token >= place.tokens) continue;
    int64_t to = (place.first_token + token) * p.out_pitch + (first_head + row % group) * kDim +
                 lane % 4 * 2;
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
      float pair[2] = {tile.flash.out[n][2 * half] / total,
                       tile.flash.out[n][2 * half + 1] / total};
      results.store(to + n * 8, pair);
    }
  }
}

template <class T, int kDim>
void launch_flash(const AttentionParams& p, cudaStream_t stream) {
  LaunchShape shape{dim3(static_cast<unsigned>(most_tiles(p, Layout<kDim>::kRows)), p.kv_heads),
                    dim3(Layout<kDim>::kThreads), Layout<kDim>::kBytes, true};
  auto with = [&](auto score) {
    auto kernel = paged_attention_flash_kernel<T, kDim, decltype(score)>;
    allow_shared_bytes(reinterpret_cast<const void*>(kernel), shape.shared_bytes);
    launch(kernel, "paged_attention_flash", shape, stream, p, score);
  };
  p.softcap > 0 ? with(device::SoftcappedScore(p)) : with(device::ScaledScore(p));
}

template <class T>
void launch_dim(const AttentionParams& p, cudaStream_t stream) {
  switch (p.head_dim) {
    case 32:
      return launch_flash<T, 32>(p, stream);
    case 64:
      return launch_flash<T, 64>(p, stream);
    case 80:
      return launch_flash<T, 80>(p, stream);
    case 96:
      return launch_flash<T, 96>(p, stream);
    default:
      return launch_flash<T, 128>(p, stream);
  }
}

}  // namespace

bool fits_flash_attention(const AttentionParams& p, DType cache) {
  constexpr int kDims[] = {32, 64, 80, 96, 128};
  return cache == p.dtype && cache != DType::F32 && fits_split_attention(p, cache) &&
         std::find(std::begin(kDims), std::end(kDims), p.head_dim) != std::end(kDims) &&
         p.heads / p.kv_heads <= Layout<32>::kRows && p.out_pitch % 2 == 0 && p.kv_heads <= 65535;
}

void run_flash_attention(const AttentionParams& p, cudaStream_t stream) {
  if (p.dtype == DType::BF16) {
    launch_dim<device::bf16>(p, stream);
  } else {
    launch_dim<device::f16>(p, stream);
  }
}

}  // namespace tenon::cuda
