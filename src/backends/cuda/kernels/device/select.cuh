#pragma once

#include "backends/cuda/kernels/device/peers.cuh"

// Ranking of one row of logits by the blocks of a cluster, each with a slice of the row. A token's
// rank is one number: larger for a larger logit, and among equal logits larger for the lower id; no
// two are equal. Sums are of integers, so that they do not depend on the order in which threads
// come. Every thread of every block calls everything alike and gets the same results.
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

// A block's part of a row.
struct Slice {
  const float* logits;
  int first, count;  // ids
};

// Sums of 64 bits in two words: shared memory adds 32 bits at once, and loops for 64.
struct Histogram {
  unsigned low[kBins], high[kBins];

  __device__ __forceinline__ void add(int bin, unsigned count) { atomicAdd(low + bin, count); }
  __device__ __forceinline__ void add(int bin, Weight weight) {
    auto part = static_cast<unsigned>(weight);
    bool carries = atomicAdd(low + bin, part) + part < part;
    unsigned rest = static_cast<unsigned>(weight >> 32) + carries;
    if (rest > 0) atomicAdd(high + bin, rest);
  }
  __device__ Weight sum(int bin) const { return static_cast<Weight>(high[bin]) << 32 | low[bin]; }
};

// Shared memory of a block that ranks.
struct SelectMemory {
  Rank ranks[kBins];        // the likeliest tokens, highest first
  Weight sums[kBins];       // of those
  Histogram histograms[2];  // in turn
  Histogram weights;        // by logit
  Weight scans[kWarp];
  PeerScratch reductions;
  Weight before;  // what the chosen bin does not count
  int bin, is_enough, gathered;
};

// Every selected token counts 1.
struct CountOne {
  __device__ unsigned operator()(float) const { return 1; }
};

// exp((logit - largest) / temperature) in units of 2^-40: a sum over 2^23 tokens fits 64 bits.
struct Softmax {
  float largest, temperature;
  __device__ Weight operator()(float logit) const {
    return __float2ull_rn(expf(depth(logit)) * 0x1p40f);
  }
  // Of kBins over all logits that have a weight: exp(-28.5) is below half of 2^-40.
  __device__ int bin(float logit) const {
    float below = depth(logit) * (-kBins / 28.5f);
    return below < kBins - 1 ? kBins - 1 - static_cast<int>(below) : 0;
  }

 private:
  __device__ float depth(float logit) const { return (logit - largest) / temperature; }
};

struct AllTokens {
  __device__ bool operator()(float) const { return true; }
};

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
  Weight sum = scratch[lane];
#pragma unroll
  for (int step = 1; step < kWarp; step *= 2) {
    Weight other = __shfl_up_sync(kAllLanes, sum, step);
    if (lane >= step) sum += other;
  }
  all = __shfl_sync(kAllLanes, sum, kWarp - 1);
  Weight before = __shfl_sync(kAllLanes, sum, max(warp - 1, 0));
  __syncthreads();
  return warp > 0 ? before + value : value;
}

class Selector {
 public:
  __device__ Selector(const Peers& peers, const Slice& slice, SelectMemory& memory)
      : peers_(peers), slice_(slice), memory_(memory), reduce_(peers, memory.reductions) {}

  template <class Op, class T>
  __device__ T reduce(T value, Op op) {
    return reduce_(value, op);
  }

  // Of the tokens with takes(logit) and rank >= lowest: the largest rank r where the weight of
  // those of rank >= r, on top of `above`, is at least `need`; or, sooner, one where it is at most
  // `enough`. There is such a rank. Digit by digit: a histogram of the tokens that agree with the
  // digits found.
  template <class WeightOf, class Takes>
  __device__ Rank select_rank(Rank lowest, const Takes& takes, Weight above, Weight need,
                              Weight enough, const WeightOf& weight_of) {
    Rank prefix = 0;
    for (int shift = kRankBits - kDigitBits;; shift -= kDigitBits) {
      Histogram& histogram = begin_histogram();
      for_each([&](int id, float logit) {
        Rank rank = rank_of(logit, id);
        if (rank < lowest || rank >> (shift + kDigitBits) != prefix || !takes(logit)) return;
        histogram.add(static_cast<int>((rank >> shift) & (kBins - 1)), weight_of(logit));
      });
      find_bin(histogram, above, need, enough);
      prefix = (prefix << kDigitBits) | static_cast<unsigned>(memory_.bin);
      above = memory_.before;
      if (memory_.is_enough != 0 || shift == 0) return prefix << shift;
    }
  }

  // Makes the histogram of weights that find_weight() looks into, of tokens of rank >= lowest;
  // returns their whole weight. It is linear in the logit, down to where weights are 0: by digits
  // of a float nearly all tokens of a row would share a few bins, and additions to one bin wait for
  // each other.
  __device__ Weight make_weights(Rank lowest, const Softmax& weight_of) {
    clear(memory_.weights);
    for_each([&](int id, float logit) {
      Weight weight = rank_of(logit, id) < lowest ? 0 : weight_of(logit);
      if (weight > 0) memory_.weights.add(weight_of.bin(logit), weight);
    });
    peers_.sync();
    Weight all = 0;
    sum_two_bins(memory_.weights, all);
    return all;
  }

  // The largest rank r >= lowest with weight(tokens of rank >= r) >= need, and that weight. Of the
  // bin where that is, a short list is sorted; a long one is searched digit by digit.
  __device__ Rank find_weight(Rank lowest, Weight need, const Softmax& weight_of, Weight& reached) {
    find_bin(memory_.weights, 0, need, 0);
    int bin = memory_.bin;
    Weight before = memory_.before;
    auto in_bin = [&](float logit) { return weight_of.bin(logit) == bin; };
    int count = gather(lowest, in_bin);
    if (count <= kBins) {
      sum_candidates(count, weight_of);
      int found = find_candidate(need - before);
      reached = before + memory_.sums[found];
      return memory_.ranks[found];
    }
    Rank rank = select_rank(lowest, in_bin, before, need, 0, weight_of);
    reached = total_weight(rank, weight_of);
    return rank;
  }

  // The weight of all tokens of rank >= lowest.
  __device__ Weight total_weight(Rank lowest, const Softmax& weight_of) {
    Weight sum = 0;
    for_each([&](int id, float logit) {
      if (rank_of(logit, id) >= lowest) sum += weight_of(logit);
    });
    return reduce_(sum, Sum());
  }

  // Puts the tokens with takes(logit) of rank >= lowest into memory.ranks, highest first, and
  // returns how many; more than kBins are only counted.
  template <class Takes>
  __device__ int gather(Rank lowest, const Takes& takes) {
    // The block's own, in any order: the sort makes it one. They lie where sums come later.
    Rank* own = memory_.sums;
    if (threadIdx.x == 0) memory_.gathered = 0;
    peers_.sync();  // and nobody reads the sums or the count of the last list any more
    for_each([&](int id, float logit) {
      Rank rank = rank_of(logit, id);
      if (rank < lowest || !takes(logit)) return;
      int at = atomicAdd(&memory_.gathered, 1);
      if (at < kBins) own[at] = rank;
    });
    peers_.sync();
    int all = 0, count = 0;
    for (int i = 0; i < peers_.count; ++i) all += *peers_.of(i, &memory_.gathered);
    for (int i = 0; i < peers_.count && all <= kBins; ++i) {
      int theirs = *peers_.of(i, &memory_.gathered);
      const Rank* from = peers_.of(i, own);
      for (int j = threadIdx.x; j < theirs; j += kSelectThreads) memory_.ranks[count + j] = from[j];
      count += theirs;
    }
    int size = 2;
    while (size < count) size *= 2;
    for (int i = count + static_cast<int>(threadIdx.x); i < size; i += kSelectThreads) {
      memory_.ranks[i] = 0;
    }
    peers_.sync();  // everyone has read what the sums will overwrite
    if (all <= kBins) sort(size);
    return all;
  }

  // memory.sums[i] = weight of the candidates 0 ... i; those from `kept` on weigh nothing. Returns
  // the whole sum.
  __device__ Weight sum_candidates(int kept, const Softmax& weight_of) {
    int i = 2 * static_cast<int>(threadIdx.x);
    Weight first = i < kept ? weight_of(logit_of(memory_.ranks[i])) : 0;
    Weight second = i + 1 < kept ? weight_of(logit_of(memory_.ranks[i + 1])) : 0;
    Weight all = 0, reached = block_scan(first + second, memory_.scans, all);
    memory_.sums[i] = reached - second;
    memory_.sums[i + 1] = reached;
    __syncthreads();
    return all;
  }

  // The first candidate whose sum reaches `need`; there is one.
  __device__ int find_candidate(Weight need) {
    for (int i = threadIdx.x; i < kBins; i += kSelectThreads) {
      if (memory_.sums[i] >= need && (i == 0 || memory_.sums[i - 1] < need)) memory_.bin = i;
    }
    __syncthreads();
    int found = memory_.bin;
    __syncthreads();
    return found;
  }

 private:
  template <class Visit>
  __device__ __forceinline__ void for_each(const Visit& visit) const {
#pragma unroll 4
    for (int i = threadIdx.x; i < slice_.count; i += kSelectThreads) {
      visit(slice_.first + i, slice_.logits[i]);
    }
  }

  __device__ void clear(Histogram& histogram) {
    for (int i = threadIdx.x; i < kBins; i += kSelectThreads) {
      histogram.low[i] = histogram.high[i] = 0;
    }
    __syncthreads();
  }

  // Cleared bins. The other blocks have read them: they did so before the last histogram's barrier.
  __device__ Histogram& begin_histogram() {
    Histogram& histogram = memory_.histograms[turn_++ % 2];
    clear(histogram);
    return histogram;
  }

  struct TwoBins {
    Weight first, second;  // of all blocks
    Weight reached;        // from the highest bin down to these
  };
  // The thread's two bins, counted from the highest.
  __device__ TwoBins sum_two_bins(Histogram& histogram, Weight& all) {
    int high = kBins - 1 - 2 * static_cast<int>(threadIdx.x);
    TwoBins bins{};
    for (int i = 0; i < peers_.count; ++i) {
      const Histogram* theirs = peers_.of(i, &histogram);
      bins.first += theirs->sum(high);
      bins.second += theirs->sum(high - 1);
    }
    bins.reached = block_scan(bins.first + bins.second, memory_.scans, all);
    return bins;
  }

  // Finds the bin where the sum over all blocks, from the highest bin down and on top of `above`,
  // reaches `need`: memory.bin, and memory.before without it. memory.is_enough: whether it is at
  // most `enough` with it.
  __device__ void find_bin(Histogram& histogram, Weight above, Weight need, Weight enough) {
    peers_.sync();
    int high = kBins - 1 - 2 * static_cast<int>(threadIdx.x);
    Weight all = 0;
    TwoBins bins = sum_two_bins(histogram, all);
    Weight reached = above + bins.reached, before = reached - bins.first - bins.second;
    if (before < need && reached >= need) {
      bool in_first = before + bins.first >= need;
      memory_.bin = in_first ? high : high - 1;
      memory_.before = in_first ? before : before + bins.first;
      memory_.is_enough = (in_first ? before + bins.first : reached) <= enough;
    }
    __syncthreads();
  }

  // Bitonic; `size` is a power of two. Highest first.
  __device__ void sort(int size) {
    for (int width = 2; width <= size; width *= 2) {
      for (int step = width / 2; step > 0; step /= 2) {
        int i = 2 * static_cast<int>(threadIdx.x) - (static_cast<int>(threadIdx.x) & (step - 1));
        if (i < size) {
          Rank a = memory_.ranks[i], b = memory_.ranks[i + step];
          bool descending = (i & width) == 0;
          if ((a < b) == descending) {
            memory_.ranks[i] = b;
            memory_.ranks[i + step] = a;
          }
        }
        __syncthreads();
      }
    }
  }

  const Peers& peers_;
  Slice slice_;
  SelectMemory& memory_;
  PeerReducer reduce_;
  int turn_ = 0;
};

}  // namespace tenon::cuda::device
