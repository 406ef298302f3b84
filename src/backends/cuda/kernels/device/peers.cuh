#pragma once

#include <cooperative_groups.h>

#include "backends/cuda/kernels/device/reduce.cuh"

// The blocks of one cluster, which see each other's shared memory (compute capability 9.0); a block
// alone elsewhere. Everything is called by all threads of all blocks alike.
namespace tenon::cuda::device {

class Peers {
 public:
  int count = 1, rank = 0;

  __device__ Peers() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    count = static_cast<int>(cooperative_groups::this_cluster().num_blocks());
    rank = static_cast<int>(cooperative_groups::this_cluster().block_rank());
#endif
  }
  // What every block wrote to shared memory before is seen by all after.
  __device__ void sync() const {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    if (count > 1) {
      cooperative_groups::this_cluster().sync();
      return;
    }
#endif
    __syncthreads();
  }
  // The same shared variable of block `other`.
  template <class T>
  __device__ T* of(int other, T* own) const {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    if (count > 1) return cooperative_groups::this_cluster().map_shared_rank(own, other);
#endif
    return own;
  }
};

// Shared memory of reductions over all threads of all blocks. Four places in turn: a place is
// written again only when everyone has passed three more barriers, so that one barrier a reduction
// is enough.
struct PeerScratch {
  unsigned long long places[4];
  unsigned long long warps[kWarp];
};

class PeerReducer {
 public:
  __device__ PeerReducer(const Peers& peers, PeerScratch& scratch)
      : peers_(peers), scratch_(scratch) {}

  // The result in every thread, of the same bits: values of blocks are joined in their order.
  template <class Op, class T>
  __device__ T operator()(T value, Op op) {
    static_assert(sizeof(T) <= sizeof(scratch_.places[0]));
    value = block_reduce(value, reinterpret_cast<T*>(scratch_.warps), op);
    if (peers_.count == 1) return value;
    T* place = reinterpret_cast<T*>(scratch_.places + turn_++ % 4);
    if (threadIdx.x == 0) *place = value;
    peers_.sync();
    T result = *peers_.of(0, place);
    for (int i = 1; i < peers_.count; ++i) result = op(result, *peers_.of(i, place));
    return result;
  }

 private:
  const Peers& peers_;
  PeerScratch& scratch_;
  int turn_ = 0;
};

}  // namespace tenon::cuda::device
