#include "backends/cuda/kernels/device/array.cuh"
#include "backends/cuda/kernels/device/pipeline.cuh"
#include "backends/cuda/kernels/device/weights.cuh"
#include "backends/cuda/kernels/device/wgmma.cuh"
#include "backends/cuda/kernels/paged_attention_tiles.cuh"
#include "backends/cuda/launch.h"
#include "backends/cuda/tensor_map.h"

// Prefill on Hopper: flash attention by wgmma. A piece of work is 128 rows, which are tokens of one
// sequence x the query heads of one kv head; each multiprocessor takes one piece after the other.
// One warpgroup has K and V brought in tiles of 128 positions by the copy engine, those of the next
// piece while the last one's results are written; two multiply, 64 rows each, one's softmax beside
// the other's products. Within a warpgroup the scores of the next tile are made while the weights
// of this one meet V.
//
// f16 weights enter the second product rounded once, as f16 outputs are anyway (2^-11); bf16 ones
// as two numbers, the rounded one and the rest: once rounded they would cost 2^-9.
namespace tenon::cuda {
namespace {

constexpr int kGroup = 128;              // threads of a warpgroup
constexpr int kThreads = 3 * kGroup;     // the last group copies
constexpr int kRows = 128, kKeys = 128;  // of a block, of a tile
constexpr int kStages = 2;

template <int kDim>
struct Layout {
  static constexpr int kTile = kKeys * kDim * 2;  // bytes
  static constexpr int kQuery = kRows * kDim * 2;
  // Where the tiles of part 0 (K) and 1 (V) lie behind the queries.
  __host__ __device__ static constexpr int tile(int part, int stage) {
    return kQuery + (part * kStages + stage) * kTile;
  }
  static constexpr int kBytes = tile(1, kStages) + 1024;  // slabs begin at multiples of 1024
};

struct Barriers {
  uint64_t full[2][kStages], empty[2][kStages];
  uint64_t tail[2];  // of a slab of V that is not whole
};

// A piece of work: the rows of a tile for one kv head, and the positions they see, in tiles.
struct Piece {
  TilePlace place;
  int kv_head, begin, end, key_tiles;
};

// Where a tile lies in the ring: tiles of all pieces follow one another.
struct Turn {
  int stage, parity;
  __device__ explicit Turn(int tile) : stage(tile % kStages), parity(tile / kStages % 2) {}
};

// One warp: has one slab (64 elements a row) of K or of V brought, tile after tile, in boxes of
// rows that lie behind one another in the cache. What lies behind the last position is not brought,
// or is something: scores with it are hidden, and in V it is made zero, as 0 times a NaN would be
// one.
template <int kDim>
class Copier {
 public:
  static constexpr int kSlabs = kDim / 64;

  __device__ Copier(const AttentionParams& p, const CUtensorMap& cache, int box, Barriers& barriers,
                    uint32_t shared)
      : p_(p),
        cache_(cache),
        box_(box),
        barriers_(barriers),
        part_(threadIdx.x / 32 % 4 / 2),
        slab_(threadIdx.x / 32 % 2),
        shared_(shared + slab_ * kKeys * 128) {}

  __device__ void run(const Piece& piece) {
    if (slab_ >= kSlabs) return;
    bool cut = part_ == 1 && (piece.end - piece.begin) % kKeys != 0;
    if (device::is_copying()) copy_all(piece, cut);
    __syncwarp();
    done_ += piece.key_tiles;
    if (cut) clear_tail(piece);
  }

 private:
  __device__ __forceinline__ uint32_t full(int stage) const {
    return device::shared_address(&barriers_.full[part_][stage]);
  }
  __device__ __forceinline__ uint32_t tail() const {
    return device::shared_address(&barriers_.tail[slab_]);
  }
  __device__ __forceinline__ uint32_t tile(int stage) const {
    return shared_ + Layout<kDim>::tile(part_, stage);
  }

  __device__ __forceinline__ void copy_all(const Piece& piece, bool cut) {
    int tile_index = done_;
    for (int first = piece.begin; first < piece.end; first += kKeys, ++tile_index) {
      Turn turn(tile_index);
      int boxes = (min(kKeys, piece.end - first) + box_ - 1) / box_;
      uint32_t barrier = cut && first + kKeys > piece.end ? tail() : full(turn.stage);
      device::wait_barrier(device::shared_address(&barriers_.empty[part_][turn.stage]),
                           turn.parity ^ 1);
      device::expect_bytes(barrier, boxes * box_ * 128);
      for (int i = 0; i < boxes; ++i) {
        device::copy_box(tile(turn.stage) + i * box_ * 128, &cache_,
                         row_of(piece, first + i * box_), slab_ * 64, barrier);
      }
    }
  }

  // Of K or V at a position, in the cache as one matrix.
  __device__ __forceinline__ int row_of(const Piece& piece, int position) const {
    int index = p_.block_shift >= 0 ? position >> p_.block_shift : position / p_.block_size;
    int block = p_.block_table[piece.place.seq * p_.table_pitch + index];
    block = min(max(block, 0), p_.blocks - 1);
    return ((block * 2 + part_) * p_.kv_heads + piece.kv_head) * p_.block_size + position -
           index * p_.block_size;
  }

  __device__ void clear_tail(const Piece& piece) {
    int stage = Turn(done_ - 1).stage;
    device::wait_barrier(tail(), tails_ % 2);
    ++tails_;
    int from = (piece.end - piece.begin) % kKeys * 128;
    for (int at = from + threadIdx.x % 32 * 16; at < kKeys * 128; at += 32 * 16) {
      asm volatile("st.shared.v4.b32 [%0], {%1, %1, %1, %1};" ::"r"(tile(stage) + at), "r"(0)
                   : "memory");
    }
    device::fence_for_products();
    __syncwarp();
    if (threadIdx.x % 32 == 0) device::arrive(full(stage));
  }

  const AttentionParams& p_;
  const CUtensorMap& cache_;
  int box_;
  Barriers& barriers_;
  int part_, slab_;
  uint32_t shared_;
  int done_ = 0, tails_ = 0;  // tiles, and those that were cut
};

// A positive factor keeps the order of scores: it is applied where the maximum is taken off, in one
// instruction.
template <class Score>
constexpr bool kScales = std::is_same_v<Score, device::ScaledScore>;

// Online softmax of the two rows of a lane, g and g + 8 of its warp; `limits` are their last
// visible positions. Weights are powers of 2.
struct Softmax {
  float largest[2] = {-INFINITY, -INFINITY}, sum[2] = {0.0f, 0.0f}, rescale[2] = {1.0f, 1.0f};
  int limits[2];

  // Scores become weights relative to the new maxima; what was summed before is to be multiplied
  // with `rescale`. kWhole: every row sees all positions.
  template <bool kWhole, class Score>
  __device__ __forceinline__ void weigh(float (&scores)[64], int first, const AttentionParams& p,
                                        const Score& score, int head) {
    float top[2] = {-INFINITY, -INFINITY};
    see<kWhole>(scores, first, p, score, head, top);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      top[half] = fmaxf(top[half], __shfl_xor_sync(device::kAllLanes, top[half], 1));
      top[half] = fmaxf(top[half], __shfl_xor_sync(device::kAllLanes, top[half], 2));
      if constexpr (kScales<Score>) top[half] *= score.factor;
      top[half] = fmaxf(largest[half], top[half]);
      // A row that saw nothing yet has no maximum; its weights are 0 against any number.
      float base = top[half] == -INFINITY ? 0.0f : top[half];
      rescale[half] = device::exp2_fast(largest[half] - base);
      largest[half] = top[half];
      top[half] = base;
      sum[half] *= rescale[half];
    }
#pragma unroll
    for (int i = 0; i < 64; ++i) {
      float base = top[i / 2 % 2];
      if constexpr (kScales<Score>) {
        scores[i] = device::exp2_fast(fmaf(scores[i], score.factor, -base));
      } else {
        scores[i] = device::exp2_fast(scores[i] - base);
      }
      sum[i / 2 % 2] += scores[i];
    }
  }

 private:
  // Hides what a row must not see, and finds each row's largest.
  template <bool kWhole, class Score>
  __device__ __forceinline__ void see(float (&scores)[64], int first, const AttentionParams& p,
                                      const Score& score, int head, float (&top)[2]) {
    int t = threadIdx.x % 4;
    int begins[2] = {device::first_visible(p, limits[0]), device::first_visible(p, limits[1])};
#pragma unroll
    for (int i = 0; i < 64; ++i) {
      int position = first + i / 4 * 8 + t * 2 + i % 2, half = i / 2 % 2;
      if constexpr (!kScales<Score>) scores[i] = score(scores[i], position, head);
      if (!kWhole && (position > limits[half] || position < begins[half])) scores[i] = -INFINITY;
      top[half] = fmaxf(top[half], scores[i]);
    }
  }
};

// The products of one warpgroup. Each call leaves its products under way, in a group of their own.
template <class T, int kDim>
struct Products {
  // scores [64, 128] = queries [64, kDim] keys^T
  static __device__ __forceinline__ void make_scores(float (&scores)[64], uint32_t queries,
                                                     uint32_t keys) {
    device::hold(scores);
    device::begin_products();
#pragma unroll
    for (int step = 0; step < kDim / 16; ++step) {
      // Both have slabs of 128 rows.
      int at = step / 4 * kRows * 128 + step % 4 * 32;
      device::product_64x128<T>(scores, device::describe_rows(queries + at),
                                device::describe_rows(keys + at), step > 0);
    }
    device::commit_products();
  }

  // out [64, kDim] += weights [64, 128] values [128, kDim]
  static __device__ __forceinline__ void add_values(float (&out)[kDim / 2],
                                                    const device::Weights<T>& weights,
                                                    uint32_t values) {
    device::hold(out);
    device::begin_products();
#pragma unroll
    for (int step = 0; step < kKeys / 16; ++step) {
      uint64_t b = device::describe_columns(values + step * 2048, kKeys * 128);
      add(out, weights.high + 4 * step, b);
      if constexpr (device::Weights<T>::kSplit) add(out, weights.rest + 4 * step, b);
    }
    device::commit_products();
  }

 private:
  static __device__ __forceinline__ void add(float (&out)[kDim / 2], const uint32_t* a,
                                             uint64_t b) {
    if constexpr (kDim == 128) {
      device::add_product_64x128<T>(out, a[0], a[1], a[2], a[3], b);
    } else {
      device::add_product_64x64<T>(out, a[0], a[1], a[2], a[3], b);
    }
  }
};

// Rows of q into shared memory, zero where the block has no token. A warpgroup brings its own 64.
template <class T, int kDim>
__device__ void load_queries(const AttentionParams& p, const TilePlace& place, int first_head,
                             int group, unsigned char* shared) {
  constexpr int kPieces = kDim / 8;
  bool aligned = reinterpret_cast<uint64_t>(p.q) % 16 == 0 && p.q_pitch % 8 == 0;
  int first = threadIdx.x / kGroup * 64;
  device::sync_warpgroup();  // products with the rows before have ended in all warps
  for (int i = threadIdx.x % kGroup; i < 64 * kPieces; i += kGroup) {
    int row = first + i / kPieces, piece = i % kPieces, token = row / group, head = row % group;
    uint4 value = make_uint4(0, 0, 0, 0);
    if (token < place.tokens) {
      const T* from = static_cast<const T*>(p.q) + (place.first_token + token) * p.q_pitch +
                      (first_head + head) * kDim + piece * 8;
      value = device::load_eight(from, aligned);
    }
    *reinterpret_cast<uint4*>(shared + device::swizzled(row, piece, kRows)) = value;
  }
  device::fence_for_products();
  device::sync_warpgroup();
}

// One multiplying warpgroup: its 64 rows of a piece over all tiles of positions.
template <class T, int kDim, class Score>
class Attention {
 public:
  __device__ Attention(const AttentionParams& p, const Score& score, Barriers& barriers,
                       unsigned char* shared)
      : p_(p),
        score_(score),
        barriers_(barriers),
        shared_(shared),
        group_(p.heads / p.kv_heads),
        warp_(threadIdx.x / 32),
        lane_(threadIdx.x % 32) {
    base_ = device::shared_address(shared);
    queries_ = base_ + threadIdx.x / kGroup * 64 * 128;
  }

  __device__ void run(const Piece& piece) {
    start(piece);
    load_queries<T, kDim>(p_, piece.place, first_head_, group_, shared_);
    if constexpr (kOverlaps) {
      run_overlapped(piece.begin, piece.key_tiles);
    } else {
      run_in_turn(piece.begin, piece.key_tiles);
    }
    done_ += piece.key_tiles;
    store(piece.place);
  }

 private:
  // Weights as two numbers beside the scores of the next tile do not fit the registers.
  static constexpr bool kOverlaps = !device::Weights<T>::kSplit || kDim < 128;

  __device__ __forceinline__ void start(const Piece& piece) {
    first_head_ = piece.kv_head * group_;
    head_ = first_head_ + (warp_ * 16 + lane_ / 4) % group_;
    softmax_ = Softmax();
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      softmax_.limits[half] = limit(piece.place, warp_ * 16 + half * 8 + lane_ / 4);
    }
    first_limit_ = limit(piece.place, threadIdx.x / kGroup * 64);
    last_begin_ = device::first_visible(p_, piece.end - 1);
#pragma unroll
    for (int i = 0; i < kDim / 2; ++i) out_[i] = 0.0f;
  }
  // The last position a row sees. Rows behind the last token see as much as that one; they are not
  // written.
  __device__ __forceinline__ int limit(const TilePlace& place, int row) const {
    return place.first_position + min(row / group_, place.tokens - 1);
  }

  __device__ __forceinline__ void run_overlapped(int begin, int tiles) {
    make_scores(0);
    device::wait_for_products<0>();
    take_scores(0);
    weigh(begin);
    weights_.take(scores_);
    for (int tile = 0; tile + 1 < tiles; ++tile) {
      make_scores(tile + 1);
      add_values(tile);
      device::wait_for_products<1>();
      take_scores(tile + 1);
      weigh(begin + (tile + 1) * kKeys);
      device::wait_for_products<0>();
      take_values(tile);
      rescale();
      weights_.take(scores_);
    }
    add_values(tiles - 1);
    device::wait_for_products<0>();
    take_values(tiles - 1);
  }

  __device__ __forceinline__ void run_in_turn(int begin, int tiles) {
    for (int tile = 0; tile < tiles; ++tile) {
      make_scores(tile);
      device::wait_for_products<0>();
      take_scores(tile);
      weigh(begin + tile * kKeys);
      rescale();
      weights_.take(scores_);
      add_values(tile);
      device::wait_for_products<0>();
      take_values(tile);
    }
  }

  // The products of a tile, left under way; and what is to be done when they have come.
  __device__ __forceinline__ void make_scores(int tile) {
    wait_for_tile(0, tile);
    Products<T, kDim>::make_scores(scores_, queries_,
                                   base_ + Layout<kDim>::tile(0, Turn(done_ + tile).stage));
  }
  __device__ __forceinline__ void take_scores(int tile) {
    device::hold(scores_);
    release(0, tile);
  }
  __device__ __forceinline__ void add_values(int tile) {
    wait_for_tile(1, tile);
    Products<T, kDim>::add_values(out_, weights_,
                                  base_ + Layout<kDim>::tile(1, Turn(done_ + tile).stage));
  }
  __device__ __forceinline__ void take_values(int tile) {
    device::hold(out_);
    release(1, tile);
  }
  __device__ __forceinline__ void wait_for_tile(int part, int tile) {
    Turn turn(done_ + tile);
    device::wait_barrier(device::shared_address(&barriers_.full[part][turn.stage]), turn.parity);
  }
  __device__ __forceinline__ void release(int part, int tile) {
    __syncwarp();
    if (lane_ == 0) {
      int stage = Turn(done_ + tile).stage;
      device::arrive(device::shared_address(&barriers_.empty[part][stage]));
    }
  }

  __device__ __forceinline__ void weigh(int first) {
    // Both forms beside weights as two numbers do not fit the registers.
    if (kOverlaps && first + kKeys - 1 <= first_limit_ && first >= last_begin_) {
      softmax_.weigh<true>(scores_, first, p_, score_, head_);
    } else {
      softmax_.weigh<false>(scores_, first, p_, score_, head_);
    }
  }
  __device__ __forceinline__ void rescale() {
#pragma unroll
    for (int i = 0; i < kDim / 2; ++i) out_[i] *= softmax_.rescale[i / 2 % 2];
  }

  __device__ __forceinline__ void store(const TilePlace& place) {
    device::Array<device::Any> results{p_.out, p_.out_dtype};
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float total = softmax_.sum[half];
      total += __shfl_xor_sync(device::kAllLanes, total, 1);
      total += __shfl_xor_sync(device::kAllLanes, total, 2);
      float share = 1.0f / total;
      int row = warp_ * 16 + half * 8 + lane_ / 4, token = row / group_;
      if (token >= place.tokens) continue;
      int64_t to = (place.first_token + token) * p_.out_pitch +
                   (first_head_ + row % group_) * kDim + lane_ % 4 * 2;
#pragma unroll
      for (int n = 0; n < kDim / 8; ++n) {
        float pair[2] = {out_[4 * n + 2 * half] * share, out_[4 * n + 2 * half + 1] * share};
        results.store(to + n * 8, pair);
      }
    }
  }

  const AttentionParams& p_;
  const Score& score_;
  Barriers& barriers_;
  unsigned char* shared_;
  int group_, warp_, lane_;
  int done_ = 0;                   // tiles of pieces before
  int first_head_ = 0, head_ = 0;  // of the piece; of row g, for score hooks
  int first_limit_ = 0;            // the last position the warpgroup's first row sees
  int last_begin_ = 0;             // the first one its last row sees
  uint32_t base_ = 0, queries_ = 0;
  Softmax softmax_;
  device::Weights<T> weights_;
  float out_[kDim / 2], scores_[64];
};

template <class T, int kDim, class Score>
__global__ void __launch_bounds__(kThreads, 1)
    paged_attention_wgmma_kernel(AttentionParams p, Score score,
                                 const __grid_constant__ CUtensorMap cache, int box) {
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
        device::init_barrier(device::shared_address(&barriers.full[part][stage]), kDim / 64);
        device::init_barrier(device::shared_address(&barriers.empty[part][stage]), 8);
      }
      device::init_barrier(device::shared_address(&barriers.tail[part]), 1);
    }
    device::publish_barriers();
  }
  __syncthreads();
  device::wait_for_previous();
  device::Schedule schedule(p, kRows);
  Piece piece;
  auto next = [&] {
    if (!schedule.next(piece.place, piece.kv_head)) return false;
    piece.begin = device::first_visible(p, piece.place.first_position) / kKeys * kKeys;
    piece.end = piece.place.first_position + piece.place.tokens;
    piece.key_tiles = (piece.end - piece.begin + kKeys - 1) / kKeys;
    return true;
  };
  if (threadIdx.x >= 2 * kGroup) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kCopierRegisters));
    Copier<kDim> copier(p, cache, box, barriers, device::shared_address(shared));
    while (next()) copier.run(piece);
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kMultiplierRegisters));
    Attention<T, kDim, Score> attention(p, score, barriers, shared);
    while (next()) attention.run(piece);
  }
#endif
}

int64_t cache_rows(const AttentionParams& p) {
  return int64_t{2} * p.blocks * p.kv_heads * p.block_size;
}

// Rows that lie behind one another wherever a tile begins: what divides both a block and a tile.
int box_rows(const AttentionParams& p) {
  return std::min(kKeys, p.block_size & -p.block_size);
}

// Whether the cache is one matrix of rows, as copy_box needs it. A box is whole atoms of 8 rows.
bool is_matrix(const AttentionParams& p) {
  bool dense = p.row_stride == p.head_dim && p.head_stride == p.block_size * p.row_stride &&
               p.part_stride == p.kv_heads * p.head_stride && p.block_stride == 2 * p.part_stride;
  return dense && box_rows(p) % 8 == 0 && cache_rows(p) <= INT32_MAX &&
         reinterpret_cast<uintptr_t>(p.cache) % 16 == 0;
}

template <class T, int kDim>
void launch_wgmma(const AttentionParams& p, cudaStream_t stream) {
  int64_t blocks =
      std::min<int64_t>(most_tiles(p, kRows) * p.kv_heads, current_card().multiprocessors);
  LaunchShape shape{dim3(static_cast<unsigned>(blocks)), dim3(kThreads), Layout<kDim>::kBytes,
                    true};
  CUtensorMap cache = describe_matrix(p.cache, p.dtype, cache_rows(p), kDim, box_rows(p));
  auto with = [&](auto score) {
    auto kernel = paged_attention_wgmma_kernel<T, kDim, decltype(score)>;
    allow_shared_bytes(reinterpret_cast<const void*>(kernel), shape.shared_bytes);
    launch(kernel, "paged_attention_wgmma", shape, stream, p, score, cache, box_rows(p));
  };
  p.softcap > 0 || p.scale <= 0 ? with(device::AnyScore(p)) : with(device::ScaledScore(p));
}

template <class T>
void launch_dim(const AttentionParams& p, cudaStream_t stream) {
  p.head_dim == 128 ? launch_wgmma<T, 128>(p, stream) : launch_wgmma<T, 64>(p, stream);
}

}  // namespace

bool fits_wgmma_attention(const AttentionParams& p, DType cache) {
  return (p.head_dim == 64 || p.head_dim == 128) && fits_flash_attention(p, cache) &&
         p.heads / p.kv_heads <= kRows && most_tiles(p, kRows) * p.kv_heads <= INT32_MAX &&
         has_wgmma() && is_matrix(p) && has_tensor_maps();
}

void run_wgmma_attention(const AttentionParams& p, cudaStream_t stream) {
  if (p.dtype == DType::BF16) {
    launch_dim<device::bf16>(p, stream);
  } else {
    launch_dim<device::f16>(p, stream);
  }
}

}  // namespace tenon::cuda
