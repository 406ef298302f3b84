#include "backends/cuda/kernels/device/array.cuh"
#include "backends/cuda/kernels/device/pipeline.cuh"
#include "backends/cuda/kernels/device/wgmma.cuh"
#include "backends/cuda/kernels/paged_attention_tiles.cuh"
#include "backends/cuda/launch.h"

// Prefill on Hopper: flash attention by wgmma. A block takes 128 rows, which are tokens of one
// sequence x the query heads of one kv head. One warpgroup copies K and V in tiles of 128
// positions; two multiply, 64 rows each, one's softmax beside the other's products. Within a
// warpgroup the scores of the next tile are made while the weights of this one meet V.
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
};

// Brings K and V of one tile after the other, 16 bytes a copy. Where the rows of the next tile lie
// is looked up a tile ahead, so that copies need not wait for the block table.
template <class T, int kDim>
class Copier {
 public:
  __device__ Copier(const AttentionParams& p, Barriers& barriers, uint32_t shared, int seq,
                    int kv_head, int begin, int end)
      : p_(p),
        barriers_(barriers),
        shared_(shared),
        seq_(seq),
        kv_head_(kv_head),
        first_(begin),
        end_(end),
        thread_(threadIdx.x % kGroup) {
    look_up();
  }

  __device__ void run() {
    int stage = 0, parity = 1;
    uint32_t last = 0;  // the barrier of the copies still under way
    for (; first_ < end_;) {
      int64_t part_offset = 0;
      for (int part = 0; part < 2; ++part, part_offset = p_.part_stride) {
        device::wait_barrier(device::shared_address(&barriers_.empty[part][stage]), parity);
        copy(shared_ + Layout<kDim>::tile(part, stage), part_offset);
        device::commit_copies();
        if (last != 0) {
          device::wait_for_copies<1>();
          tell(last);
        }
        last = device::shared_address(&barriers_.full[part][stage]);
      }
      first_ += kKeys;
      look_up();
      if (++stage == kStages) stage = 0, parity ^= 1;
    }
    device::wait_for_copies<0>();
    if (last != 0) tell(last);
  }

 private:
  static constexpr int kPieces = kDim / 8;  // of a row
  static constexpr int kStep = kGroup / kPieces, kCount = kKeys / kStep;

  __device__ __forceinline__ void look_up() {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      int position = min(first_ + thread_ / kPieces + i * kStep, end_ - 1);
      offsets_[i] = device::row_offset(p_, seq_, kv_head_, position);
    }
  }

  // Positions from the end on are zeros: their weights are 0, and 0 times a NaN would be one.
  __device__ __forceinline__ void copy(uint32_t to, int64_t part_offset) {
    int piece = thread_ % kPieces;
    const T* cache = static_cast<const T*>(p_.cache) + part_offset + piece * 8;
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      int row = thread_ / kPieces + i * kStep;
      device::copy_async(to + device::swizzled(row, piece, kKeys), cache + offsets_[i],
                         first_ + row < end_);
    }
  }

  // The tensor cores read shared memory by another way than the copies write it.
  __device__ __forceinline__ void tell(uint32_t barrier) {
    device::fence_for_products();
    device::arrive(barrier);
  }

  const AttentionParams& p_;
  Barriers& barriers_;
  uint32_t shared_;
  int seq_, kv_head_, first_, end_, thread_;
  int64_t offsets_[kCount];
};

// Online softmax of the two rows of a lane, g and g + 8 of its warp; `limits` are their last
// visible positions. Weights are powers of 2.
struct Softmax {
  float largest[2] = {-INFINITY, -INFINITY}, sum[2] = {0.0f, 0.0f}, rescale[2] = {1.0f, 1.0f};
  int limits[2];

  // Scores become weights relative to the new maxima; what was summed before is to be multiplied
  // with `rescale`. `whole`: every row sees all positions.
  template <class Score>
  __device__ __forceinline__ void weigh(float (&scores)[64], int first, bool whole,
                                        const AttentionParams& p, const Score& score, int head) {
    int t = threadIdx.x % 4;
    float top[2] = {largest[0], largest[1]};
#pragma unroll
    for (int i = 0; i < 64; ++i) {
      int position = first + i / 4 * 8 + t * 2 + i % 2, half = i / 2 % 2;
      float value = score(scores[i], position, head);
      if (!whole &&
          (position > limits[half] || position < device::first_visible(p, limits[half]))) {
        value = -INFINITY;
      }
      scores[i] = value;
      top[half] = fmaxf(top[half], value);
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      top[half] = fmaxf(top[half], __shfl_xor_sync(device::kAllLanes, top[half], 1));
      top[half] = fmaxf(top[half], __shfl_xor_sync(device::kAllLanes, top[half], 2));
      // A row that saw nothing yet has no maximum; its weights are 0 against any number.
      float base = top[half] == -INFINITY ? 0.0f : top[half];
      rescale[half] = device::exp2_fast(largest[half] - base);
      largest[half] = top[half];
      top[half] = base;
      sum[half] *= rescale[half];
    }
#pragma unroll
    for (int i = 0; i < 64; ++i) {
      scores[i] = device::exp2_fast(scores[i] - top[i / 2 % 2]);
      sum[i / 2 % 2] += scores[i];
    }
  }
};

// Weights as operands of the second product: rounded, and for bf16 also what rounding took away.
template <class T>
struct Weights {
  static constexpr bool kSplit = std::is_same_v<T, device::bf16>;
  uint32_t high[32], rest[kSplit ? 32 : 1];

  __device__ __forceinline__ void take(const float (&scores)[64]) {
#pragma unroll
    for (int i = 0; i < 32; ++i) {
      high[i] = device::pack<T>(scores[2 * i], scores[2 * i + 1]);
      if constexpr (kSplit) {
        rest[i] = device::pack<T>(scores[2 * i] - device::unpack_low<T>(high[i]),
                                  scores[2 * i + 1] - device::unpack_high<T>(high[i]));
      }
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
                                                    const Weights<T>& weights, uint32_t values) {
    device::hold(out);
    device::begin_products();
#pragma unroll
    for (int step = 0; step < kKeys / 16; ++step) {
      uint64_t b = device::describe_columns(values + step * 2048, kKeys * 128);
      add(out, weights.high + 4 * step, b);
      if constexpr (Weights<T>::kSplit) add(out, weights.rest + 4 * step, b);
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
  asm volatile("bar.sync %0, %1;" ::"r"(1 + static_cast<int>(threadIdx.x) / kGroup), "n"(kGroup)
               : "memory");
}

// One multiplying warpgroup: its 64 rows over all tiles of positions.
template <class T, int kDim, class Score>
class Attention {
 public:
  __device__ Attention(const AttentionParams& p, const TilePlace& place, const Score& score,
                       Barriers& barriers, unsigned char* shared)
      : p_(p),
        place_(place),
        score_(score),
        barriers_(barriers),
        shared_(shared),
        group_(p.heads / p.kv_heads),
        first_head_(blockIdx.x * group_),
        warp_(threadIdx.x / 32),
        lane_(threadIdx.x % 32) {
    base_ = device::shared_address(shared);
    queries_ = base_ + threadIdx.x / kGroup * 64 * 128;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      // Rows behind the last token see as much as that one; they are not written.
      int token = min((warp_ * 16 + half * 8 + lane_ / 4) / group_, place.tokens - 1);
      softmax_.limits[half] = place.first_position + token;
    }
    head_ = first_head_ + (warp_ * 16 + lane_ / 4) % group_;
    int first_row = threadIdx.x / kGroup * 64;
    first_limit_ = place.first_position + min(first_row / group_, place.tokens - 1);
  }

  __device__ void run(int begin, int end) {
    load_queries<T, kDim>(p_, place_, first_head_, group_, shared_);
    last_begin_ = device::first_visible(p_, end - 1);
    int tiles = (end - begin + kKeys - 1) / kKeys;
#pragma unroll
    for (int i = 0; i < kDim / 2; ++i) out_[i] = 0.0f;
    if constexpr (kOverlaps) {
      run_overlapped(begin, tiles);
    } else {
      run_in_turn(begin, tiles);
    }
    store();
  }

 private:
  // Weights as two numbers beside the scores of the next tile do not fit the registers.
  static constexpr bool kOverlaps = !Weights<T>::kSplit || kDim < 128;

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
    device::hold(out_);
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
                                   base_ + Layout<kDim>::tile(0, tile % kStages));
  }
  __device__ __forceinline__ void take_scores(int tile) {
    device::hold(scores_);
    release(0, tile);
  }
  __device__ __forceinline__ void add_values(int tile) {
    wait_for_tile(1, tile);
    Products<T, kDim>::add_values(out_, weights_, base_ + Layout<kDim>::tile(1, tile % kStages));
  }
  __device__ __forceinline__ void take_values(int tile) {
    device::hold(out_);
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

  __device__ __forceinline__ void weigh(int first) {
    bool whole = first + kKeys - 1 <= first_limit_ && first >= last_begin_;
    softmax_.weigh(scores_, first, whole, p_, score_, head_);
  }
  __device__ __forceinline__ void rescale() {
#pragma unroll
    for (int i = 0; i < kDim / 2; ++i) out_[i] *= softmax_.rescale[i / 2 % 2];
  }

  __device__ __forceinline__ void store() {
    device::Array<device::Any> results{p_.out, p_.out_dtype};
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float total = softmax_.sum[half];
      total += __shfl_xor_sync(device::kAllLanes, total, 1);
      total += __shfl_xor_sync(device::kAllLanes, total, 2);
      int row = warp_ * 16 + half * 8 + lane_ / 4, token = row / group_;
      if (token >= place_.tokens) continue;
      int64_t to = (place_.first_token + token) * p_.out_pitch +
                   (first_head_ + row % group_) * kDim + lane_ % 4 * 2;
#pragma unroll
      for (int n = 0; n < kDim / 8; ++n) {
        float pair[2] = {out_[4 * n + 2 * half] / total, out_[4 * n + 2 * half + 1] / total};
        results.store(to + n * 8, pair);
      }
    }
  }

  const AttentionParams& p_;
  const TilePlace& place_;
  const Score& score_;
  Barriers& barriers_;
  unsigned char* shared_;
  int group_, first_head_, warp_, lane_;
  int head_;            // of row g, for score hooks
  int first_limit_;     // the last position the warpgroup's first row sees
  int last_begin_ = 0;  // the first one its last row sees
  uint32_t base_ = 0, queries_ = 0;
  Softmax softmax_;
  Weights<T> weights_;
  float out_[kDim / 2], scores_[64];
};

template <class T, int kDim, class Score>
__global__ void __launch_bounds__(kThreads, 1)
    paged_attention_wgmma_kernel(AttentionParams p, Score score) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  // Registers of a copying and of a multiplying thread; what the launch gives all alike,
  // redistributed.
  constexpr int kCopierRegisters = 72, kMultiplierRegisters = 216;
  __shared__ Barriers barriers;
  extern __shared__ unsigned char dynamic[];
  device::let_next_start();
  unsigned char* shared = dynamic + (-device::shared_address(dynamic) & 1023);
  if (threadIdx.x == 0) {
    for (int part = 0; part < 2; ++part) {
      for (int stage = 0; stage < kStages; ++stage) {
        device::init_barrier(device::shared_address(&barriers.full[part][stage]), kGroup);
        device::init_barrier(device::shared_address(&barriers.empty[part][stage]), 8);
      }
    }
    device::publish_barriers();
  }
  __syncthreads();
  device::wait_for_previous();
  int group = p.heads / p.kv_heads, kv_head = blockIdx.x;
  // Late tiles see most positions, so they come first.
  TilePlace place =
      device::find_tile(p, static_cast<int>(gridDim.y - 1 - blockIdx.y), kRows / group);
  if (place.seq < 0) return;
  int begin = device::first_visible(p, place.first_position) / kKeys * kKeys;
  int end = place.first_position + place.tokens;
  if (threadIdx.x >= 2 * kGroup) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kCopierRegisters));
    Copier<T, kDim> copier(p, barriers, device::shared_address(shared), place.seq, kv_head, begin,
                           end);
    copier.run();
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kMultiplierRegisters));
    Attention<T, kDim, Score>(p, place, score, barriers, shared).run(begin, end);
  }
#endif
}

template <class T, int kDim>
void launch_wgmma(const AttentionParams& p, cudaStream_t stream) {
  LaunchShape shape{dim3(p.kv_heads, static_cast<unsigned>(most_tiles(p, kRows))), dim3(kThreads),
                    Layout<kDim>::kBytes, true};
  auto with = [&](auto score) {
    auto kernel = paged_attention_wgmma_kernel<T, kDim, decltype(score)>;
    allow_shared_bytes(reinterpret_cast<const void*>(kernel), shape.shared_bytes);
    launch(kernel, "paged_attention_wgmma", shape, stream, p, score);
  };
  p.softcap > 0 ? with(device::SoftcappedScore(p)) : with(device::ScaledScore(p));
}

template <class T>
void launch_dim(const AttentionParams& p, cudaStream_t stream) {
  p.head_dim == 128 ? launch_wgmma<T, 128>(p, stream) : launch_wgmma<T, 64>(p, stream);
}

// Whether this library and this card have wgmma.
bool has_wgmma() {
#ifdef TENON_SM90A
  return current_card().major == 9;
#else
  return false;
#endif
}

}  // namespace

bool fits_wgmma_attention(const AttentionParams& p, DType cache) {
  return (p.head_dim == 64 || p.head_dim == 128) && fits_flash_attention(p, cache) &&
         p.heads / p.kv_heads <= kRows && most_tiles(p, kRows) <= 65535 && has_wgmma();
}

void run_wgmma_attention(const AttentionParams& p, cudaStream_t stream) {
  if (p.dtype == DType::BF16) {
    launch_dim<device::bf16>(p, stream);
  } else {
    launch_dim<device::f16>(p, stream);
  }
}

}  // namespace tenon::cuda
