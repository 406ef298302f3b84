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

// Compute capability 9.0: arrives, and makes the phase wait for so many bytes of copies.
__device__ __forceinline__ void expect_bytes(uint32_t barrier, int bytes) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile(
      "{ .reg .b64 state; mbarrier.arrive.expect_tx.shared.b64 state, [%0], %1; }" ::"r"(barrier),
      "r"(bytes)
      : "memory");
#endif
}
// Compute capability 9.0: has the copy engine bring `bytes`, a multiple of 16 as the addresses are.
// Without a hint to L2: "evict first" cost up to 3 % of the rate.
__device__ __forceinline__ void copy_bytes(uint32_t to, const void* from, int bytes,
                                           uint32_t barrier) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::
          "r"(to),
      "l"(from), "r"(bytes), "r"(barrier)
      : "memory");
#endif
}

// Compute capability 9.0: has the copy engine bring the box whose first element is (row, column) of
// the matrix that `map` describes (tensor_map.h), a kernel's __grid_constant__ parameter.
__device__ __forceinline__ void copy_box(uint32_t to, const void* map, int row, int column,
                                         uint32_t barrier) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%2, %3}], [%4];" ::"r"(to),
      "l"(map), "r"(column), "r"(row), "r"(barrier)
      : "memory");
#endif
}

// True in the threads of a warp that call copy_rows: one where the copy engine works, all where the
// lanes do. A loop over copies stands as a whole under it: a copy by a lane of a warp that is not
// known to be alone is taken apart into one after the other, 100 cycles each.
__device__ __forceinline__ bool is_copying() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  uint32_t elected = 0;
  asm volatile("{ .reg .pred p; elect.sync _|p, 0xFFFFFFFF; selp.b32 %0, 1, 0, p; }"
               : "=r"(elected));
  return elected != 0;
#else
  return true;
#endif
}

// Copies `rows` rows (none too) of `bytes` bytes, multiples of 16 at addresses that are multiples
// of 16. kCopyArrivals arrivals at `barrier` follow when the bytes are there.
template <int kMostRows>
__device__ __forceinline__ void copy_rows(uint32_t to, int to_pitch, const char* from,
                                          int64_t from_pitch, int rows, int bytes,
                                          uint32_t barrier) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  expect_bytes(barrier, max(rows, 0) * bytes);
#pragma unroll
  for (int row = 0; row < kMostRows; ++row) {
    if (row < rows) copy_bytes(to + row * to_pitch, from + row * from_pitch, bytes, barrier);
  }
#else
  int lane = threadIdx.x % 32;
  for (int row = 0; row < rows; ++row) {
    for (int at = lane * 16; at < bytes; at += 32 * 16) {
      copy_async(to + row * to_pitch + at, from + row * from_pitch + at, true);
    }
  }
  asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(barrier) : "memory");
#endif
}

}  // namespace tenon::cuda::device
