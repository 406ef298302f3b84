#include <cooperative_groups.h>

#include <algorithm>

#include "backends/cuda/cuda_error.h"
#include "backends/cuda/kernels/device/array.cuh"
#include "backends/cuda/kernels/device/reduce.cuh"
#include "backends/cuda/kernels/dispatch.cuh"
#include "backends/cuda/kernels/paged_attention.cuh"
#include "backends/cuda/launch.h"

// Decoding: time is the reading of K and V, once. A block takes one token and the query heads of
// one kv head (four at most); the positions are shared by the blocks of a cluster, then by groups
// of lanes, each with its own running maximum. Results are merged in a fixed order: groups through
// shared memory, blocks through the shared memory of the cluster. No scratch memory, no atomics.
namespace tenon::cuda {
namespace {

namespace cg = cooperative_groups;

constexpr int kThreads = 256, kWarp = 32;
constexpr int kOwn = 8;  // dims of a lane
constexpr int kMostSplits = 16;
constexpr int kLeastPart = 64;  // positions that are worth a block

// kOwn neighbours of a cache row, raw.
template <class T>
struct Piece {
  uint4 words[sizeof(T) * kOwn / 16];

  __device__ __forceinline__ void load(const T* from, bool inside) {
#pragma unroll
    for (size_t i = 0; i < sizeof(T) * kOwn / 16; ++i) {
      words[i] = inside ? reinterpret_cast<const uint4*>(from)[i] : make_uint4(0, 0, 0, 0);
    }
  }
  __device__ __forceinline__ float at(int i) const {
    return device::to_f32(reinterpret_cast<const T*>(words)[i]);
  }
};

// The state of online softmax of one query head, for the lane's dims. Weights are powers of 2.
struct Running {
  float largest = -INFINITY, sum = 0.0f, out[kOwn] = {};
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
  device::Array<device::Any> results{p.out, p.dtype};
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
__global__ void __launch_bounds__(kThreads, 2)
    paged_attention_split_kernel(AttentionParams p, Score score, int splits) {
  using MergeSpace = Merge<kLanes, kHeads>;
  constexpr int kGroups = MergeSpace::kGroups;
  // Positions a lane has under way.
  constexpr int kUnroll = kHeads > 1 ? 2 : sizeof(T) > 2 ? 4 : 8;
  __shared__ MergeSpace merge;
  device::wait_for_previous();
  device::let_next_start();
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

  const T* cache = static_cast<const T*>(p.cache) + lane * kOwn;
  for (int base = begin; base < end; base += kGroups * kUnroll) {
    Piece<T> k[kUnroll], v[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      int position = base + u * kGroups + group;
      bool inside = owns && position < end;
      const T* row =
          cache + (inside ? device::row_offset(p, place.seq, kv_head, position) : int64_t{0});
      k[u].load(row, inside);
      v[u].load(row + p.part_stride, inside);
    }
#pragma unroll
    for (int h = 0; h < kHeads; ++h) {
      Running& run = running[h];
      float scores[kUnroll], largest = run.largest;
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) {
        float dot = 0.0f;
#pragma unroll
        for (int i = 0; i < kOwn; ++i) dot = fmaf(q[h][i], k[u].at(i), dot);
#pragma unroll
        for (int step = kLanes / 2; step > 0; step /= 2) {
          dot += __shfl_xor_sync(device::kAllLanes, dot, step);
        }
        int position = base + u * kGroups + group;
        scores[u] = position < end ? score(dot, position, first_head + h) : -INFINITY;
        largest = fmaxf(largest, scores[u]);
      }
      float zero = largest == -INFINITY ? 0.0f : largest;
      float rescale = device::exp2_fast(run.largest - zero);
      run.largest = largest;
      run.sum *= rescale;
#pragma unroll
      for (float& value : run.out) value *= rescale;
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) {
        float weight = device::exp2_fast(scores[u] - zero);
        run.sum += weight;
#pragma unroll
        for (int i = 0; i < kOwn; ++i) run.out[i] = fmaf(weight, v[u].at(i), run.out[i]);
      }
    }
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

struct Card {
  int multiprocessors = 0, major = 0;
};
Card card() {
  static thread_local int known_device = -1;
  static thread_local Card known;
  int device = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  if (device != known_device) {
    check(cudaDeviceGetAttribute(&known.multiprocessors, cudaDevAttrMultiProcessorCount, device),
          "cudaDeviceGetAttribute");
    check(cudaDeviceGetAttribute(&known.major, cudaDevAttrComputeCapabilityMajor, device),
          "cudaDeviceGetAttribute");
    known_device = device;
  }
  return known;
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
  Card on = card();
  int splits = choose_splits(static_cast<int64_t>(p.tokens) * head_blocks, p.most_positions, on);
  auto kernel = paged_attention_split_kernel<T, kLanes, kHeads, device::AnyScore>;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(p.tokens * splits, head_blocks);
  config.blockDim = dim3(kThreads);
  config.stream = stream;
  cudaLaunchAttribute attributes[2]{};
  config.attrs = attributes;
  if (on.major >= 9) {
    attributes[config.numAttrs].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attributes[config.numAttrs++].val.programmaticStreamSerializationAllowed = 1;
  }
  if (splits > 1) {
    attributes[config.numAttrs].id = cudaLaunchAttributeClusterDimension;
    attributes[config.numAttrs++].val.clusterDim = {static_cast<unsigned>(splits), 1, 1};
  }
  if (splits > 8) {
    check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                               cudaFuncAttributeNonPortableClusterSizeAllowed, 1),
          "cudaFuncSetAttribute");
  }
  check(cudaLaunchKernelEx(&config, kernel, p, device::AnyScore(p), splits),
        "paged_attention_split");
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
