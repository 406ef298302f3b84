#include <cooperative_groups.h>

#include <algorithm>

#include "backends/cuda/cuda_error.h"
#include "backends/cuda/kernels/device/array.cuh"
#include "backends/cuda/kernels/device/mma.cuh"
#include "backends/cuda/kernels/device/reduce.cuh"
#include "backends/cuda/kernels/dispatch.cuh"
#include "backends/cuda/kernels/paged_attention.cuh"
#include "backends/cuda/launch.h"

// Decoding: time is the reading of K and V, once. A block takes one token and the query heads of
// one kv head (four at most); the positions are shared by the blocks of a cluster, then by groups
// of lanes, each with its own running maximum. Results are merged in a fixed order: groups through
// shared memory, blocks through the shared memory of the cluster. No scratch memory, no atomics.
// K and V come through a ring that each lane has for itself, as in linear_gemv.cu.
namespace tenon::cuda {
namespace {

namespace cg = cooperative_groups;

constexpr int kThreads = 256, kWarp = 32;
constexpr int kOwn = 8;  // dims of a lane
constexpr int kMostSplits = 16;
constexpr int kLeastPart = 64;  // positions that are worth a block

constexpr int kUnroll = 2;  // positions of a lane in one stage of its ring
constexpr int kStages = 4;

// What a lane has of K and V. Copies of a stage are started in order, whether or not it has any.
template <class T, int kLanes>
class Ring {
 public:
  static constexpr int kWords = sizeof(T) * kOwn / 16;  // of 16 bytes, in a lane's part of a row
  static constexpr int kGroups = kThreads / kLanes;
  static constexpr int kPositions = kGroups * kUnroll;  // of a stage, over the block
  static constexpr int64_t kBytes = int64_t{kThreads} * kStages * kUnroll * 2 * kWords * 16;

  __device__ Ring(const AttentionParams& p, uint4* shared, int seq, int kv_head, int begin, int end)
      : p_(p), ring_(shared + threadIdx.x), seq_(seq), kv_head_(kv_head), end_(end) {
    int lane = threadIdx.x % kLanes;
    // Lanes behind the row's end read its beginning; their q is 0.
    cache_ = static_cast<const T*>(p.cache) + (lane * kOwn < p.head_dim ? lane * kOwn : 0);
    next_ = begin + static_cast<int>(threadIdx.x) / kLanes;
    look_up();
  }

  __device__ __forceinline__ void start(int stage) {
    if (next_ - static_cast<int>(threadIdx.x) / kLanes < end_) {
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) {
#pragma unroll
        for (int part = 0; part < 2; ++part) {
          const T* from = cache_ + offsets_[u] + part * p_.part_stride;
#pragma unroll
          for (int word = 0; word < kWords; ++word) {
            device::copy_async(device::shared_address(at(stage, u, part, word)),
                               from + word * (kOwn / kWords), true);
          }
        }
      }
      next_ += kPositions;
      look_up();
    }
    device::commit_copies();
  }

  // The lane's elements of K (part 0) or V (part 1).
  __device__ __forceinline__ void load(int stage, int u, int part, float (&to)[kOwn]) const {
#pragma unroll
    for (int word = 0; word < kWords; ++word) {
      uint4 raw = *at(stage, u, part, word);
      constexpr int kCount = kOwn / kWords;
#pragma unroll
      for (int i = 0; i < kCount; ++i) {
        to[word * kCount + i] = device::to_f32(reinterpret_cast<const T*>(&raw)[i]);
      }
    }
  }

 private:
  // One stage ahead of the copies: they need not wait for the block table. Positions behind the end
  // are read as the last and get no weight.
  __device__ __forceinline__ void look_up() {
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      int position = min(next_ + u * kGroups, end_ - 1);
      offsets_[u] = device::row_offset(p_, seq_, kv_head_, max(position, 0));
    }
  }
  __device__ __forceinline__ uint4* at(int stage, int u, int part, int word) const {
    return ring_ + (((stage * kUnroll + u) * 2 + part) * kWords + word) * kThreads;
  }

  const AttentionParams& p_;
  uint4* ring_;
  const T* cache_;
  int seq_, kv_head_, end_, next_;
  int64_t offsets_[kUnroll];
};

// The state of online softmax of one query head, for the lane's dims. Weights are powers of 2.
struct Running {
  float largest = -INFINITY, sum = 0.0f, out[kOwn] = {};

  // Scores become weights against the new maximum.
  __device__ __forceinline__ void make_weights(float (&scores)[kUnroll]) {
    float top = largest;
#pragma unroll
    for (float score : scores) top = fmaxf(top, score);
    float base = top == -INFINITY ? 0.0f : top, rescale = device::exp2_fast(largest - base);
    largest = top;
    sum *= rescale;
#pragma unroll
    for (float& value : out) value *= rescale;
#pragma unroll
    for (float& score : scores) sum += score = device::exp2_fast(score - base);
  }
};

// What is read from and written to shared memory at the end of a block.
template <int kLanes, int kHeads>
struct Merge {
  static constexpr int kGroups = kThreads / kLanes;
  float out[kGroups][kHeads][kLanes * kOwn];
  float largest[kGroups][kHeads], sum[kGroups][kHeads];
  float block_largest[kHeads], block_sum[kHeads];
};

// Merges the groups of this block: the result stands in out[0], block_largest, block_sum.
template <int kLanes, int kHeads>
__device__ void merge_groups(Merge<kLanes, kHeads>& merge) {
  constexpr int kDims = kLanes * kOwn;
  __syncthreads();
  for (int i = threadIdx.x; i < kHeads * kDims; i += kThreads) {
    int head = i / kDims, dim = i % kDims;
    float largest = -INFINITY;
    for (int g = 0; g < merge.kGroups; ++g) largest = fmaxf(largest, merge.largest[g][head]);
    float base = largest == -INFINITY ? 0.0f : largest, out = 0.0f, sum = 0.0f;
    for (int g = 0; g < merge.kGroups; ++g) {
      float weight = device::exp2_fast(merge.largest[g][head] - base);
      out = fmaf(weight, merge.out[g][head][dim], out);
      sum = fmaf(weight, merge.sum[g][head], sum);
    }
    merge.out[0][head][dim] = out;  // only this thread reads or writes this element
    if (dim == 0) merge.block_largest[head] = largest, merge.block_sum[head] = sum;
  }
}

// Merges the blocks of the cluster and writes the result, each block a share of it.
template <int kLanes, int kHeads>
__device__ void merge_blocks(Merge<kLanes, kHeads>& merge, const AttentionParams& p, int token,
                             int first_head, int heads, int rank, int splits) {
  constexpr int kDims = kLanes * kOwn;
  device::Array<device::Any> results{p.out, p.out_dtype};
#if __CUDA_ARCH__ >= 900
  cg::cluster_group cluster = cg::this_cluster();
  if (splits > 1) {
    cluster.sync();
  } else {
    __syncthreads();
  }
  auto of_block = [&](int block) {
    return splits > 1 ? cluster.map_shared_rank(&merge, block) : &merge;
  };
#else
  __syncthreads();
  auto of_block = [&](int) { return &merge; };
#endif
  for (int i = threadIdx.x + rank * kThreads; i < heads * kDims; i += kThreads * splits) {
    int head = i / kDims, dim = i % kDims;
    if (dim >= p.head_dim) continue;
    float largest = -INFINITY;
    for (int b = 0; b < splits; ++b) largest = fmaxf(largest, of_block(b)->block_largest[head]);
    float out = 0.0f, sum = 0.0f;
    for (int b = 0; b < splits; ++b) {
      float weight = device::exp2_fast(of_block(b)->block_largest[head] - largest);
      out = fmaf(weight, of_block(b)->out[0][head][dim], out);
      sum = fmaf(weight, of_block(b)->block_sum[head], sum);
    }
    int64_t to = token * p.out_pitch + (first_head + head) * p.head_dim + dim;
    device::store_one(results, to, out / sum);
  }
#if __CUDA_ARCH__ >= 900
  // A block's shared memory lives until all have read it.
  if (splits > 1) cluster.sync();
#endif
}

template <class T, int kLanes, int kHeads, class Score>
__global__ void __launch_bounds__(kThreads, sizeof(T) > 2 ? 1 : 2)
    paged_attention_split_kernel(AttentionParams p, Score score, int splits) {
  using MergeSpace = Merge<kLanes, kHeads>;
  constexpr int kGroups = MergeSpace::kGroups;
  __shared__ MergeSpace merge;
  extern __shared__ uint4 shared[];
  device::let_next_start();
  device::wait_for_previous();
  int token = blockIdx.x / splits, rank = blockIdx.x % splits;
  int group_size = p.heads / p.kv_heads, head_blocks = (group_size + kHeads - 1) / kHeads;
  int kv_head = blockIdx.y / head_blocks;
  int in_group = blockIdx.y % head_blocks * kHeads;
  int first_head = kv_head * group_size + in_group, heads = min(kHeads, group_size - in_group);
  device::TokenPlace place = device::find_token(p, token);
  if (place.seq < 0) return;  // alike in all blocks of the cluster

  int begin = device::first_visible(p, place.position), end = place.position + 1;
  int part = (end - begin + splits - 1) / splits;
  begin += rank * part;
  end = min(end, begin + part);

  int group = threadIdx.x / kLanes, lane = threadIdx.x % kLanes;
  Ring<T, kLanes> ring(p, shared, place.seq, kv_head, begin, end);
#pragma unroll
  for (int stage = 0; stage < kStages - 1; ++stage) ring.start(stage);

  bool owns = lane * kOwn < p.head_dim;
  float q[kHeads][kOwn] = {};
  Running running[kHeads];
  device::Array<device::Any> queries{const_cast<void*>(p.q), p.dtype};
#pragma unroll
  for (int h = 0; h < kHeads; ++h) {
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      int64_t at = token * p.q_pitch + (first_head + h) * p.head_dim + lane * kOwn + i;
      if (owns && h < heads) q[h][i] = device::load_one(queries, at);
    }
  }

  int stage = 0, free_stage = kStages - 1;
  for (int base = begin; base < end; base += Ring<T, kLanes>::kPositions) {
    device::wait_for_copies<kStages - 2>();
    ring.start(free_stage);
    float scores[kHeads][kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      float k[kOwn];
      ring.load(stage, u, 0, k);
      int position = base + u * kGroups + group;
#pragma unroll
      for (int h = 0; h < kHeads; ++h) {
        float dot = 0.0f;
#pragma unroll
        for (int i = 0; i < kOwn; ++i) dot = fmaf(q[h][i], k[i], dot);
#pragma unroll
        for (int step = kLanes / 2; step > 0; step /= 2) {
          dot += __shfl_xor_sync(device::kAllLanes, dot, step);
        }
        scores[h][u] = position < end ? score(dot, position, first_head + h) : -INFINITY;
      }
    }
#pragma unroll
    for (int h = 0; h < kHeads; ++h) running[h].make_weights(scores[h]);
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      float v[kOwn];
      ring.load(stage, u, 1, v);
#pragma unroll
      for (int h = 0; h < kHeads; ++h) {
#pragma unroll
        for (int i = 0; i < kOwn; ++i) {
          running[h].out[i] = fmaf(scores[h][u], v[i], running[h].out[i]);
        }
      }
    }
    free_stage = stage;
    stage = stage + 1 == kStages ? 0 : stage + 1;
  }

#pragma unroll
  for (int h = 0; h < kHeads; ++h) {
#pragma unroll
    for (int i = 0; i < kOwn; ++i) merge.out[group][h][lane * kOwn + i] = running[h].out[i];
    if (lane == 0)
      merge.largest[group][h] = running[h].largest, merge.sum[group][h] = running[h].sum;
  }
  merge_groups(merge);
  merge_blocks(merge, p, token, first_head, heads, rank, splits);
}

// Splits while that leaves room for all blocks at once, two on a multiprocessor.
int choose_splits(int64_t blocks, int64_t most_positions, const Card& card) {
  int splits = 1;
  if (card.major < 9) return 1;  // no clusters
  while (splits < kMostSplits && blocks * splits * 2 <= 2 * card.multiprocessors &&
         most_positions >= 2 * splits * kLeastPart) {
    splits *= 2;
  }
  return splits;
}

template <class T, int kLanes, int kHeads>
void launch_split(AttentionParams p, cudaStream_t stream) {
  int group_size = p.heads / p.kv_heads;
  int head_blocks = p.kv_heads * ((group_size + kHeads - 1) / kHeads);
  Card on = current_card();
  int splits = choose_splits(static_cast<int64_t>(p.tokens) * head_blocks, p.most_positions, on);
  if (p.splits > 0 && on.major >= 9) splits = std::min(p.splits, kMostSplits);
  auto kernel = paged_attention_split_kernel<T, kLanes, kHeads, device::AnyScore>;
  // Splits fill the card with two blocks on each multiprocessor; with less shared memory three
  // would go on some and one on others.
  int64_t shared = Ring<T, kLanes>::kBytes;
  if (splits > 1) shared = std::max<int64_t>(shared, 80 << 10);
  allow_shared_bytes(reinterpret_cast<const void*>(kernel), shared);
  LaunchShape shape{dim3(p.tokens * splits, head_blocks), dim3(kThreads), shared, true,
                    static_cast<unsigned>(splits)};
  launch(kernel, "paged_attention_split", shape, stream, p, device::AnyScore(p), splits);
}

template <class T, int kLanes>
void launch_heads(const AttentionParams& p, cudaStream_t stream) {
  if (p.heads == p.kv_heads) {
    launch_split<T, kLanes, 1>(p, stream);
  } else {
    launch_split<T, kLanes, 4>(p, stream);
  }
}

}  // namespace

bool fits_split_attention(const AttentionParams& p, DType cache) {
  int64_t bytes = dtype_bits(cache) / 8;
  auto aligned = [&](int64_t stride) { return stride * bytes % 16 == 0; };
  return p.head_dim % kOwn == 0 && p.head_dim <= kOwn * kWarp &&
         reinterpret_cast<uintptr_t>(p.cache) % 16 == 0 && aligned(p.block_stride) &&
         aligned(p.part_stride) && aligned(p.head_stride) && aligned(p.row_stride);
}

void run_split_attention(const AttentionParams& p, DType cache, cudaStream_t stream) {
  dispatch_float(cache, [&](auto type) {
    using T = typename decltype(type)::type;
    if (p.head_dim <= 8 * kOwn) {
      launch_heads<T, 8>(p, stream);
    } else if (p.head_dim <= 16 * kOwn) {
      launch_heads<T, 16>(p, stream);
    } else {
      launch_heads<T, 32>(p, stream);
    }
  });
}

}  // namespace tenon::cuda
