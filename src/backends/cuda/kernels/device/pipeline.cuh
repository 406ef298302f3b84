#pragma once

#include "backends/cuda/kernels/device/mma.cuh"

// Copies from global to shared memory that report to barriers in shared memory (mbarrier). From
// compute capability 9.0 on the copy engine moves whole rows (bulk copies); before that the lanes
// of the copying warp do, 16 bytes at a time. Barriers are given by their shared address.
namespace tenon::cuda::device {

// How often one copy_rows() arrives at its barrier.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
inline constexpr int kCopyArrivals = 1;
#else
inline constexpr int kCopyArrivals = 32;
#endif

__device__ __forceinline__ void init_barrier(uint32_t barrier, int arrivals) {
  asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}
// Behind the last init_barrier of a thread, before its barriers are used by anyone.
__device__ __forceinline__ void publish_barriers() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}

__device__ __forceinline__ void arrive(uint32_t barrier) {
  asm volatile("{ .reg .b64 state; mbarrier.arrive.shared.b64 state, [%0]; }" ::"r"(barrier)
               : "memory");
}

// Waits until the phase of this parity is complete. The phase before the first counts as complete,
// with parity 1: who fills a ring waits for free places from the start.
__device__ __forceinline__ void wait_barrier(uint32_t barrier, int parity) {
  uint32_t done = 0;
  while (done == 0) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile(
        "{ .reg .pred p; mbarrier.try_wait.parity.shared.b64 p, [%1], %2; selp.b32 %0, 1, 0, p; }"
        : "=r"(done)
        : "r"(barrier), "r"(parity)
        : "memory");
#else
    asm volatile(
        "{ .reg .pred p; mbarrier.test_wait.parity.shared.b64 p, [%1], %2; selp.b32 %0, 1, 0, p; }"
        : "=r"(done)
        : "r"(barrier), "r"(parity)
        : "memory");
#endif
  }
}

// Copies `rows` rows of `bytes` bytes, multiples of 16 at addresses that are multiples of 16. Every
// lane of one warp calls it; kCopyArrivals arrivals at `barrier` follow when the bytes are there.
// `once`: the memory is read once, so that it should leave L2 first.
__device__ __forceinline__ void copy_rows(uint32_t to, int to_pitch, const char* from,
                                          int64_t from_pitch, int rows, int bytes,
                                          uint32_t barrier, bool once) {
  int lane = threadIdx.x % 32;
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  if (lane == 0) {
    asm volatile("{ .reg .b64 state; mbarrier.arrive.expect_tx.shared.b64 state, [%0], %1; }" ::"r"(
                     barrier),
                 "r"(rows * bytes)
                 : "memory");
  }
  __syncwarp();
  uint64_t policy;
  if (once) {
    asm volatile("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
  } else {
    asm volatile("createpolicy.fractional.L2::evict_normal.b64 %0, 1.0;" : "=l"(policy));
  }
  for (int row = lane; row < rows; row += 32) {
    asm volatile(
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint "
        "[%0], [%1], %2, [%3], %4;" ::"r"(to + row * to_pitch),
        "l"(from + row * from_pitch), "r"(bytes), "r"(barrier), "l"(policy)
        : "memory");
  }
#else
  for (int row = 0; row < rows; ++row) {
    for (int at = lane * 16; at < bytes; at += 32 * 16) {
      copy_async(to + row * to_pitch + at, from + row * from_pitch + at, true);
    }
  }
  asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(barrier) : "memory");
#endif
}

// Asks for rows to be brought into L2. One warp; bytes as for copy_rows.
__device__ __forceinline__ void prefetch_rows(const char* from, int64_t from_pitch, int rows,
                                              int bytes) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  for (int row = threadIdx.x % 32; row < rows; row += 32) {
    asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(from + row * from_pitch),
                 "r"(bytes)
                 : "memory");
  }
#endif
}

}  // namespace tenon::cuda::device
