#include <algorithm>

#include "backends/cuda/kernels/device/array.cuh"
#include "backends/cuda/kernels/device/mma.cuh"
#include "backends/cuda/kernels/device/peers.cuh"
#include "backends/cuda/kernels/device/pipeline.cuh"
#include "backends/cuda/kernels/paged_attention_tiles.cuh"
#include "backends/cuda/launch.h"

// Decoding with a 16-bit cache on Hopper: time is the reading of K and V, once. A block takes one
// token, eight query heads at most of one kv head, and a part of the positions; the blocks of a
// cluster have the parts of one context. Two warps have the copy engine bring K and V, a run of
// rows in one block of the cache at once, into a ring of shared memory; four multiply on the tensor
// cores, each 16 of a stage's 64 positions, with a running maximum of their own. Heads that share K
// and V cost little more than one. What the warps, then the blocks made is merged in a fixed order.
//
// The 16 rows of a product are the 8 heads twice: weights enter the second product as two 16-bit
// numbers, the rounded one and the rest, at no price.
namespace tenon::cuda {
namespace {

constexpr int kWarps = 4, kMultipliers = kWarps * 32;
constexpr int kThreads = kMultipliers + 2 * 32;
constexpr int kHeads = 8;
constexpr int kKeys = 64;  // positions of a stage
constexpr int kMostStages = 4, kMostSplits = 8;
constexpr int kLeastPart = 64;  // positions that are worth a block

struct Barriers {
  uint64_t full[2][kMostStages], empty[2][kMostStages];
};

// What a warp or a block made of one head: the sum of weighted rows of V, relative to `largest`.
template <int kDim>
struct Partial {
  float out[kDim];
  float largest, sum;
};

// Brings rows of K (part 0) or V (part 1) of positions [first, end), a stage after the other. One
// warp; a lane for each block of the cache that a stage touches.
template <class T, int kDim>
__device__ void copy_part(const AttentionParams& p, Barriers& barriers, uint32_t ring, int stages,
                          int part, int seq, int kv_head, int first, int end) {
  constexpr int kRowBytes = kDim * 2;
  int lane = threadIdx.x % 32, stage = 0, parity = 1;
  bool dense = p.row_stride == kDim;
  for (; first < end; first += kKeys) {
    int last = min(first + kKeys, end);
    uint32_t full = device::shared_address(&barriers.full[part][stage]);
    uint32_t to = ring + (stage * 2 + part) * kKeys * kRowBytes;
    device::wait_barrier(device::shared_address(&barriers.empty[part][stage]), parity);
    if (lane == 0) device::expect_bytes(full, (last - first) * kRowBytes);
    __syncwarp();
    // A run of rows ends where a block of the cache ends, or with each row that lies apart.
    int step = dense ? p.block_size : 1, run = first / step + lane;
    for (; run * step < last; run += 32) {
      int begin = max(run * step, first), count = min((run + 1) * step, last) - begin;
      const T* from = static_cast<const T*>(p.cache) + part * p.part_stride +
                      device::row_offset(p, seq, kv_head, begin);
      device::copy_bytes(to + (begin - first) * kRowBytes, from, count * kRowBytes, full);
    }
    if (++stage == stages) stage = 0, parity ^= 1;
  }
}

// One multiplying warp. In lane = 4 g + t: head g, and of the sums dims 2 kDim / 8 t and on.
template <class T, int kDim, class Score>
class Multiplier {
 public:
  static constexpr int kOwn = kDim / 4;  // dims of a lane
  float out[kOwn], largest = -INFINITY, sum = 0.0f;

  __device__ Multiplier(const AttentionParams& p, const Score& score, int token, int first_head,
                        int heads)
      : score_(score), head_(first_head + threadIdx.x % 32 / 4) {
#pragma unroll
    for (int i = 0; i < kOwn; ++i) out[i] = 0.0f;
    bool has_head = static_cast<int>(threadIdx.x % 32 / 4) < heads,
         aligned = reinterpret_cast<uint64_t>(p.q) % 16 == 0 && p.q_pitch % 8 == 0;
    const T* q = static_cast<const T*>(p.q) + token * p.q_pitch + head_ * kDim;
#pragma unroll
    for (int i = 0; i < kSteps; ++i) {
      queries_[i] = make_uint4(0, 0, 0, 0);
      if (has_head) queries_[i] = device::load_eight(q + i * 32 + threadIdx.x % 4 * 8, aligned);
    }
  }

  // The warp's 16 positions of a stage; those from `end` on get no weight.
  __device__ __forceinline__ void add(const uint4* keys, const uint4* values, int position,
                                      int end) {
    float weights[4];
    make_scores(keys, weights);
    weigh(weights, position, end);
    add_values(values, weights, end - position);
  }

 private:
  static constexpr int kSteps = kDim / 32;  // 16-byte loads of a lane in a row of K
  static constexpr int kRowUnits = kDim / 8;

  // weights[2 n + i]: head g, position 8 n + 2 t + i.
  __device__ __forceinline__ void make_scores(const uint4* keys, float (&weights)[4]) {
    int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    float sums[2][2][4] = {};  // of 8 positions; two chains each
#pragma unroll
    for (int i = 0; i < kSteps; ++i) {
#pragma unroll
      for (int n = 0; n < 2; ++n) {
        uint4 key = keys[(n * 8 + g) * kRowUnits + i * 4 + t];
        uint4 q = queries_[i];
        device::mma_16x8x16<T>(sums[n][0], {q.x, 0, q.y, 0}, key.x, key.y);
        device::mma_16x8x16<T>(sums[n][1], {q.z, 0, q.w, 0}, key.z, key.w);
      }
    }
#pragma unroll
    for (int n = 0; n < 2; ++n) {
#pragma unroll
      for (int i = 0; i < 2; ++i) weights[2 * n + i] = sums[n][0][i] + sums[n][1][i];
    }
  }

  __device__ __forceinline__ void weigh(float (&weights)[4], int position, int end) {
    int t = threadIdx.x % 4;
    float top = largest;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      int at = position + i / 2 * 8 + t * 2 + i % 2;
      weights[i] = at < end ? score_(weights[i], at, head_) : -INFINITY;
      top = fmaxf(top, weights[i]);
    }
    top = fmaxf(top, __shfl_xor_sync(device::kAllLanes, top, 1));
    top = fmaxf(top, __shfl_xor_sync(device::kAllLanes, top, 2));
    float base = top == -INFINITY ? 0.0f : top, rescale = device::exp2_fast(largest - base);
    if (__any_sync(device::kAllLanes, top > largest)) {
#pragma unroll
      for (int i = 0; i < kOwn; ++i) out[i] *= rescale;
    }
    largest = top;
    sum *= rescale;
#pragma unroll
    for (int i = 0; i < 4; ++i) sum += weights[i] = device::exp2_fast(weights[i] - base);
  }

  // A lane reads kDim / 8 neighbouring dims of four rows: the products' columns are dims in that
  // order, so that their sums in a lane are neighbours too.
  __device__ __forceinline__ void add_values(const uint4* values, const float (&weights)[4],
                                             int count) {
    int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    uint32_t a[4];
#pragma unroll
    for (int n = 0; n < 2; ++n) {
      uint32_t high = device::pack<T>(weights[2 * n], weights[2 * n + 1]);
      a[2 * n] = high;
      a[2 * n + 1] = device::pack<T>(weights[2 * n] - device::unpack_low<T>(high),
                                     weights[2 * n + 1] - device::unpack_high<T>(high));
    }
    constexpr int kUnits = kDim / 64;  // of 8 dims, in a lane
#pragma unroll
    for (int unit = 0; unit < kUnits; ++unit) {
      uint32_t rows[4][4];  // of positions 2 t, 2 t + 1, 2 t + 8, 2 t + 9
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        int row = i / 2 * 8 + t * 2 + i % 2;
        uint4 value = values[row * kRowUnits + g * kUnits + unit];
        // Behind the end lies what an earlier stage left, or nothing yet: 0 times a NaN is one.
        bool exists = row < count;
        rows[i][0] = exists ? value.x : 0;
        rows[i][1] = exists ? value.y : 0;
        rows[i][2] = exists ? value.z : 0;
        rows[i][3] = exists ? value.w : 0;
      }
#pragma unroll
      for (int pair = 0; pair < 4; ++pair) {
#pragma unroll
        for (int odd = 0; odd < 2; ++odd) {
          uint32_t order = odd ? 0x7632 : 0x5410;
          uint32_t low = __byte_perm(rows[0][pair], rows[1][pair], order);
          uint32_t high = __byte_perm(rows[2][pair], rows[3][pair], order);
          float c[4] = {};
          device::mma_16x8x16<T>(c, a, low, high);
          // Columns 2 t and 2 t + 1: dims of lanes' parts 2 t and 2 t + 1.
          int dim = unit * 8 + pair * 2 + odd;
          out[dim] += c[0] + c[2];
          out[kDim / 8 + dim] += c[1] + c[3];
        }
      }
    }
  }

  const Score& score_;
  int head_;
  uint4 queries_[kSteps];
};

// What stands in shared memory behind the ring: parts of the warps, then those of the blocks.
template <int kDim>
__device__ void merge(Partial<kDim>* parts, int count, int stride, int head, int dim, float& out,
                      float& largest, float& sum) {
  largest = -INFINITY;
#pragma unroll 4
  for (int i = 0; i < count; ++i) largest = fmaxf(largest, parts[i * stride + head].largest);
  float base = largest == -INFINITY ? 0.0f : largest;
  out = 0.0f, sum = 0.0f;
#pragma unroll 4
  for (int i = 0; i < count; ++i) {
    const Partial<kDim>& part = parts[i * stride + head];
    float weight = device::exp2_fast(part.largest - base);
    out = fmaf(weight, part.out[dim], out);
    sum = fmaf(weight, part.sum, sum);
  }
}

template <class T, int kDim, class Score>
__global__ void __launch_bounds__(kThreads, 2)
    paged_attention_decode_kernel(AttentionParams p, Score score, int splits, int stages,
                                  int block_heads) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  __shared__ Barriers barriers;
  extern __shared__ uint4 dynamic[];  // the ring, parts of warps, parts of blocks
  device::let_next_start();
  constexpr int kStageUnits = 2 * kKeys * kDim / 8;
  constexpr int kWarpKeys = kKeys / kWarps;  // positions of a warp in a stage
  auto* warp_parts = reinterpret_cast<Partial<kDim>*>(dynamic + stages * kStageUnits);
  auto* block_parts = warp_parts + kWarps * block_heads;
  if (threadIdx.x == 0) {
    for (int i = 0; i < 2 * kMostStages; ++i) {
      device::init_barrier(device::shared_address(&barriers.full[0][0] + i), 1);
      device::init_barrier(device::shared_address(&barriers.empty[0][0] + i), kWarps);
    }
    device::publish_barriers();
  }
  device::Peers peers;
  peers.sync();  // also: the leader's shared memory is there to be written
  device::wait_for_previous();
  int token = blockIdx.x / splits;
  int group = p.heads / p.kv_heads, head_blocks = (group + block_heads - 1) / block_heads;
  int kv_head = blockIdx.y / head_blocks, in_group = blockIdx.y % head_blocks * block_heads;
  int first_head = kv_head * group + in_group, heads = min(block_heads, group - in_group);
  device::TokenPlace place = device::find_token(p, token);
  if (place.seq < 0) return;  // alike in all blocks of the cluster
  int begin = device::first_visible(p, place.position), end = place.position + 1;
  // Parts end where stages end, so that blocks of the cache are not cut.
  int part = ((end - begin + splits - 1) / splits + kWarpKeys - 1) / kWarpKeys * kWarpKeys;
  begin = min(begin + peers.rank * part, end);
  end = min(end, begin + part);

  int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  if (warp >= kWarps) {
    copy_part<T, kDim>(p, barriers, device::shared_address(dynamic), stages, warp - kWarps,
                       place.seq, kv_head, begin, end);
  } else {
    Multiplier<T, kDim, Score> multiplier(p, score, token, first_head, heads);
    int stage = 0, parity = 0;
    for (int first = begin; first < end; first += kKeys) {
      const uint4* keys = dynamic + stage * kStageUnits + warp * kWarpKeys * (kDim / 8);
      device::wait_barrier(device::shared_address(&barriers.full[0][stage]), parity);
      device::wait_barrier(device::shared_address(&barriers.full[1][stage]), parity);
      int position = first + warp * kWarpKeys;
      if (position < end) multiplier.add(keys, keys + kStageUnits / 2, position, end);
      __syncwarp();
      if (lane < 2) device::arrive(device::shared_address(&barriers.empty[lane][stage]));
      if (++stage == stages) stage = 0, parity ^= 1;
    }
    float sum = multiplier.sum;
    sum += __shfl_xor_sync(device::kAllLanes, sum, 1);
    sum += __shfl_xor_sync(device::kAllLanes, sum, 2);
    if (lane / 4 < heads) {
      Partial<kDim>& own = warp_parts[warp * block_heads + lane / 4];
#pragma unroll
      for (int i = 0; i < kDim / 4; ++i) own.out[lane % 4 * (kDim / 4) + i] = multiplier.out[i];
      if (lane % 4 == 0) own.largest = multiplier.largest, own.sum = sum;
    }
  }
  __syncthreads();
  device::Array<device::Any> results{p.out, p.out_dtype};
  auto store = [&](int head, int dim, float value) {
    device::store_one(results, token * p.out_pitch + (first_head + head) * kDim + dim, value);
  };
  auto* leader_parts = peers.of(0, block_parts) + peers.rank * block_heads;
  for (int i = threadIdx.x; i < heads * kDim; i += kThreads) {
    int head = i / kDim, dim = i % kDim;
    float out, largest, sum;
    merge(warp_parts, kWarps, block_heads, head, dim, out, largest, sum);
    if (splits == 1) {
      store(head, dim, out / sum);
      continue;
    }
    leader_parts[head].out[dim] = out;
    if (dim == 0) leader_parts[head].largest = largest, leader_parts[head].sum = sum;
  }
  if (splits == 1) return;
  peers.sync();
  if (peers.rank != 0) return;
  for (int i = threadIdx.x; i < heads * kDim; i += kThreads) {
    int head = i / kDim, dim = i % kDim;
    float out, largest, sum;
    merge(block_parts, splits, block_heads, head, dim, out, largest, sum);
    store(head, dim, out / sum);
  }
#endif
}

// Splits while every block gets a multiprocessor of its own. With two on each, or clusters of 16,
// not all clusters find room in their part of the card, and the rest comes a whole round later.
int choose_splits(int64_t blocks, int64_t most_positions, int multiprocessors) {
  int splits = 1;
  while (splits < kMostSplits && blocks * splits * 2 <= multiprocessors &&
         most_positions >= 2 * splits * kLeastPart) {
    splits *= 2;
  }
  return splits;
}

template <class T, int kDim>
void launch_decode(const AttentionParams& p, cudaStream_t stream) {
  int group = p.heads / p.kv_heads, block_heads = std::min(group, kHeads);
  int head_blocks = p.kv_heads * ((group + block_heads - 1) / block_heads);
  int64_t blocks = static_cast<int64_t>(p.tokens) * head_blocks;
  Card card = current_card();
  int splits = p.splits > 0 ? std::min(p.splits, kMostSplits)
                            : choose_splits(blocks, p.most_positions, card.multiprocessors);
  // Few blocks have 128 KB under way each. Clusters that fill the card have 64: with more, the next
  // kernel's clusters find no multiprocessors until these are done.
  int64_t all = blocks * splits;
  bool few = splits > 1 ? 2 * all <= card.multiprocessors : all <= card.multiprocessors;
  int stages = kDim == 64 || few ? 4 : 2;
  int64_t shared = int64_t{stages} * 2 * kKeys * kDim * 2 +
                   (kWarps + splits) * block_heads * static_cast<int64_t>(sizeof(Partial<kDim>));
  LaunchShape shape{dim3(p.tokens * splits, head_blocks), dim3(kThreads), shared, true,
                    static_cast<unsigned>(splits)};
  auto kernel = paged_attention_decode_kernel<T, kDim, device::AnyScore>;
  allow_shared_bytes(reinterpret_cast<const void*>(kernel), shared);
  launch(kernel, "paged_attention_decode", shape, stream, p, device::AnyScore(p), splits, stages,
         block_heads);
}

template <class T>
void launch_dim(const AttentionParams& p, cudaStream_t stream) {
  p.head_dim == 128 ? launch_decode<T, 128>(p, stream) : launch_decode<T, 64>(p, stream);
}

}  // namespace

bool fits_decode_attention(const AttentionParams& p, DType cache) {
  return (p.head_dim == 64 || p.head_dim == 128) && cache == p.dtype && cache != DType::F32 &&
         fits_split_attention(p, cache) && current_card().is_hopper_or_newer() &&
         static_cast<int64_t>(p.tokens) * kMostSplits < INT32_MAX && p.heads <= 65535;
}

void run_decode_attention(const AttentionParams& p, cudaStream_t stream) {
  if (p.dtype == DType::BF16) {
    launch_dim<device::bf16>(p, stream);
  } else {
    launch_dim<device::f16>(p, stream);
  }
}

}  // namespace tenon::cuda
