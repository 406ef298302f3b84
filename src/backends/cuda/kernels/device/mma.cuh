#pragma once

#include <cstdint>
#include <type_traits>

#include "backends/cuda/kernels/device/load.cuh"

// Tensor-core products of 16-bit floats with f32 sums, by mma.sync m16n8k16 (compute capability 8.0
// and newer). In a warp lane = 4 g + t; a 32-bit register holds two neighbours of k. Fragments:
//   A [16, 16]: a0 (row g, k 2t), a1 (row g + 8, k 2t), a2 (row g, k 2t + 8), a3 (g + 8, 2t + 8)
//   B [16, 8]:  b0 (k 2t, column g), b1 (k 2t + 8, column g)
//   C [16, 8]:  c0, c1 (row g, columns 2t, 2t + 1), c2, c3 (row g + 8)
namespace tenon::cuda::device {

template <class T>
__device__ __forceinline__ void mma_16x8x16(float (&c)[4], const uint32_t (&a)[4], uint32_t b0,
                                            uint32_t b1) {
  if constexpr (std::is_same_v<T, bf16>) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, "
        "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  } else {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, "
        "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }
}

// Four 8x8 matrices of 16-bit elements; lane i gives the address of row i % 8 of matrix i / 8.
__device__ __forceinline__ void load_matrices(uint32_t (&to)[4], uint32_t shared_address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(shared_address)
               : "memory");
}
__device__ __forceinline__ void load_matrices_transposed(uint32_t (&to)[4],
                                                         uint32_t shared_address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(shared_address)
               : "memory");
}

__device__ __forceinline__ uint32_t shared_address(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

// Two floats rounded into one register; `low` has the smaller k.
template <class T>
__device__ __forceinline__ uint32_t pack(float low, float high) {
  Vec<T, 2> pair{{from_f32<T>(low), from_f32<T>(high)}};
  return *reinterpret_cast<uint32_t*>(&pair);
}
template <class T>
__device__ __forceinline__ float unpack_low(uint32_t pair) {
  return to_f32(reinterpret_cast<const Vec<T, 2>*>(&pair)->at[0]);
}
template <class T>
__device__ __forceinline__ float unpack_high(uint32_t pair) {
  return to_f32(reinterpret_cast<const Vec<T, 2>*>(&pair)->at[1]);
}

// 16 bytes of memory that is read once, past L1. Only for memory no running kernel writes.
__device__ __forceinline__ uint4 load_streamed(const void* from) {
  uint4 value;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
               : "l"(from));
  return value;
}

// Copies 16 bytes to shared memory without waiting; zeros where `inside` is false.
__device__ __forceinline__ void copy_async(uint32_t to_shared, const void* from, bool inside) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to_shared), "l"(from),
               "r"(inside ? 16 : 0)
               : "memory");
}
__device__ __forceinline__ void commit_copies() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
// Waits until at most `kLeft` groups of copies are under way.
template <int kLeft>
__device__ __forceinline__ void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kLeft) : "memory");
}

}  // namespace tenon::cuda::device
