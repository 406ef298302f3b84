#pragma once

#include "backends/cuda/kernels/device/reduce.cuh"

// Ranking of one row of logits by a block of kThreads threads. A token's rank is one number: larger
// for a larger logit, and among equal logits larger for the lower id; no two are equal. Sums are of
// integers, so that they do not depend on the order in which threads come.
namespace tenon::cuda::device {

inline constexpr int kSelectThreads = 1024, kDigitBits = 11, kBins = 1 << kDigitBits;
inline constexpr int kIdBits = 23, kRankBits = 32 + kIdBits;  // five digits
static_assert(kRankBits % kDigitBits == 0 && kBins == 2 * kSelectThreads);

using Rank = unsigned long long;
using Weight = unsigned long long;

__device__ __forceinline__ Rank rank_of(float logit, int id) {
  unsigned bits = __float_as_uint(logit + 0.0f);  // -0 and 0 are equal
  unsigned key = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return (static_cast<Rank>(key) << kIdBits) | static_cast<unsigned>((1 << kIdBits) - 1 - id);
}
__device__ __forceinline__ int id_of(Rank rank) {
  return (1 << kIdBits) - 1 - static_cast<int>(rank & ((1 << kIdBits) - 1));
}
__device__ __forceinline__ float logit_of(Rank rank) {
  unsigned key = static_cast<unsigned>(rank >> kIdBits);
  return __uint_as_float(key & 0x80000000u ? key & 0x7FFFFFFFu : ~key);
}

// Inclusive sums over the block's threads in their order; every thread also gets the whole sum.
__device__ __forceinline__ Weight block_scan(Weight value, Weight* scratch, Weight& all) {
  int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
#pragma unroll
  for (int step = 1; step < kWarp; step *= 2) {
    Weight other = __shfl_up_sync(kAllLanes, value, step);
    if (lane >= step) value += other;
  }
  if (lane == kWarp - 1) scratch[warp] = value;
  __syncthreads();
  Weight before = 0;
  all = 0;
  for (int i = 0; i < kSelectThreads / kWarp; ++i) {
    if (i < warp) before += scratch[i];
    all += scratch[i];
  }
  __syncthreads();
  return before + value;
}

// Shared memory of a block that ranks.
struct SelectMemory {
  Rank ranks[kBins];
  union {
    Weight sums[kBins];       // of the candidates, in order of rank
    Weight weighted[kBins];   // bins of a weighted selection
    unsigned counted[kBins];  // bins of a counting selection
  };
  Weight scratch[kWarp];
  Weight before;  // what the chosen bin does not count
  int bin, count;
};

// Every selected token counts 1.
struct CountOne {
  using Bin = unsigned;
  static __device__ Bin* bins(SelectMemory& memory) { return memory.counted; }
  __device__ Bin operator()(float) const { return 1; }
};

// exp((logit - largest) / temperature) in units of 2^-40: a sum over 2^23 tokens fits 64 bits.
struct Softmax {
  using Bin = Weight;
  float largest, temperature;
  static __device__ Bin* bins(SelectMemory& memory) { return memory.weighted; }
  __device__ Weight operator()(float logit) const {
    return __float2ull_rn(expf((logit - largest) / temperature) * 0x1p40f);
  }
};

// Calls visit(id, load(id)) for every token, each thread for its share; kDepth loads are under way
// at once, since one block a row is bound by their latency.
template <int kDepth, class Load, class Visit>
__device__ __forceinline__ void for_each_token(int vocab, Load load, Visit visit) {
  using Value = decltype(load(0));
  for (int first = threadIdx.x; first < vocab; first += kSelectThreads * kDepth) {
    Value values[kDepth];
#pragma unroll
    for (int d = 0; d < kDepth; ++d) {
      int id = first + d * kSelectThreads;
      if (id < vocab) values[d] = load(id);
    }
#pragma unroll
    for (int d = 0; d < kDepth; ++d) {
      int id = first + d * kSelectThreads;
      if (id < vocab) visit(id, values[d]);
    }
  }
}
template <class Visit>
__device__ __forceinline__ void for_each_logit(const float* logits, int vocab, Visit visit) {
  for_each_token<16>(
      vocab, [&](int id) { return logits[id]; }, visit);
}

template <class Bin>
__device__ __forceinline__ void clear_bins(Bin* bins) {
  for (int i = threadIdx.x; i < kBins; i += kSelectThreads) bins[i] = 0;
  __syncthreads();
}

// Finds the bin where the sum, from the highest bin down and on top of `above`, reaches `need`:
// memory.bin, and memory.before without it. memory.count: whether it is at most `enough` with it.
template <class Bin>
__device__ __forceinline__ void find_bin(const Bin* bins, Weight above, Weight need, Weight enough,
                                         SelectMemory& memory) {
  __syncthreads();
  int high = kBins - 1 - 2 * static_cast<int>(threadIdx.x);  // two bins a thread
  Weight first = bins[high], second = bins[high - 1], all = 0;
  Weight reached = above + block_scan(first + second, memory.scratch, all);
  Weight before = reached - first - second;
  if (before < need && reached >= need) {
    bool in_first = before + first >= need;
    memory.bin = in_first ? high : high - 1;
    memory.before = in_first ? before : before + first;
    memory.count = (in_first ? before + first : reached) <= enough;
  }
  __syncthreads();
}

struct AllTokens {
  __device__ bool operator()(float) const { return true; }
};

// Of the tokens with takes(logit) and rank >= lowest: the largest rank r where the weight of those
// of rank >= r, on top of `above`, is at least `need`; or, sooner, one where it is at most
// `enough`. There is such a rank. Digit by digit: a histogram of the tokens that agree with the
// digits found.
template <class WeightOf, class Takes>
__device__ Rank select_rank(const float* logits, int vocab, Rank lowest, const Takes& takes,
                            Weight above, Weight need, Weight enough, const WeightOf& weight_of,
                            SelectMemory& memory) {
  auto* bins = WeightOf::bins(memory);
  Rank prefix = 0;
  for (int shift = kRankBits - kDigitBits;; shift -= kDigitBits) {
    clear_bins(bins);
    for_each_logit(logits, vocab, [&](int id, float logit) {
      Rank rank = rank_of(logit, id);
      if (rank < lowest || rank >> (shift + kDigitBits) != prefix || !takes(logit)) return;
      atomicAdd(&bins[(rank >> shift) & (kBins - 1)], weight_of(logit));
    });
    find_bin(bins, above, need, enough, memory);
    prefix = (prefix << kDigitBits) | static_cast<unsigned>(memory.bin);
    above = memory.before;
    bool done = memory.count != 0 || shift == 0;
    __syncthreads();
    if (done) return prefix << shift;
  }
}

// The largest rank r >= lowest with weight(tokens of rank >= r) >= need. The first histogram is
// linear in the logit, down to where weights are 0: by digits of a float nearly all tokens of a row
// would share a few bins, and additions of 64 bits to one bin wait for each other.
__device__ __forceinline__ Rank select_weight(const float* logits, int vocab, Rank lowest,
                                              Weight need, const Softmax& weight_of,
                                              SelectMemory& memory) {
  // exp(-28.5) is below half of 2^-40.
  constexpr float kBinsAnExponent = kBins / 28.5f;
  auto bin_of = [&](float logit) {
    float depth = (weight_of.largest - logit) / weight_of.temperature * kBinsAnExponent;
    return depth < kBins - 1 ? kBins - 1 - static_cast<int>(depth) : 0;
  };
  clear_bins(memory.weighted);
  for_each_logit(logits, vocab, [&](int id, float logit) {
    Weight weight = rank_of(logit, id) < lowest ? 0 : weight_of(logit);
    if (weight > 0) atomicAdd(&memory.weighted[bin_of(logit)], weight);
  });
  find_bin(memory.weighted, 0, need, 0, memory);
  int bin = memory.bin;
  Weight above = memory.before;
  __syncthreads();
  return select_rank(
      logits, vocab, lowest, [&](float logit) { return bin_of(logit) == bin; }, above, need, 0,
      weight_of, memory);
}

// The weight of all tokens of rank >= lowest.
__device__ __forceinline__ Weight total_weight(const float* logits, int vocab, Rank lowest,
                                               const Softmax& weight_of, SelectMemory& memory) {
  Weight sum = 0;
  for_each_logit(logits, vocab, [&](int id, float logit) {
    if (rank_of(logit, id) >= lowest) sum += weight_of(logit);
  });
  return block_reduce(sum, memory.scratch, Sum());
}

// Puts the tokens of rank >= lowest, at most kBins, into memory.ranks, highest first. Returns how
// many.
__device__ __forceinline__ int sort_candidates(const float* logits, int vocab, Rank lowest,
                                               SelectMemory& memory) {
  if (threadIdx.x == 0) memory.count = 0;
  for (int i = threadIdx.x; i < kBins; i += kSelectThreads) memory.ranks[i] = 0;
  __syncthreads();
  // In any order: the sort makes it one.
  for_each_logit(logits, vocab, [&](int id, float logit) {
    Rank rank = rank_of(logit, id);
    if (rank >= lowest) memory.ranks[atomicAdd(&memory.count, 1)] = rank;
  });
  __syncthreads();
  int count = memory.count, size = 2;
  while (size < count) size *= 2;
  for (int width = 2; width <= size; width *= 2) {
    for (int step = width / 2; step > 0; step /= 2) {
      int i = 2 * static_cast<int>(threadIdx.x) - (static_cast<int>(threadIdx.x) & (step - 1));
      if (i < size) {
        Rank a = memory.ranks[i], b = memory.ranks[i + step];
        bool descending = (i & width) == 0;
        if ((a < b) == descending) {
          memory.ranks[i] = b;
          memory.ranks[i + step] = a;
        }
      }
      __syncthreads();
    }
  }
  return count;
}

// memory.sums[i] = weight of the candidates 0 ... i; those from `kept` on weigh nothing. Returns
// the whole sum.
__device__ __forceinline__ Weight sum_candidates(int kept, const Softmax& weight_of,
                                                 SelectMemory& memory) {
  int i = 2 * static_cast<int>(threadIdx.x);
  Weight first = i < kept ? weight_of(logit_of(memory.ranks[i])) : 0;
  Weight second = i + 1 < kept ? weight_of(logit_of(memory.ranks[i + 1])) : 0;
  Weight all = 0, reached = block_scan(first + second, memory.scratch, all);
  memory.sums[i] = reached - second;
  memory.sums[i + 1] = reached;
  __syncthreads();
  return all;
}

// The first candidate whose sum reaches `need`; there is one.
__device__ __forceinline__ int find_candidate(Weight need, SelectMemory& memory) {
  for (int i = threadIdx.x; i < kBins; i += kSelectThreads) {
    if (memory.sums[i] >= need && (i == 0 || memory.sums[i - 1] < need)) memory.bin = i;
  }
  __syncthreads();
  int found = memory.bin;
  __syncthreads();
  return found;
}

}  // namespace tenon::cuda::device
