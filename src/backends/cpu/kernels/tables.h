#pragma once

#include "backends/cpu/cpu_features.h"
#include "backends/cpu/isa.h"

namespace tenon::cpu {

// The kernels of one ISA, as a template argument of the code that knows ops. An implementation is
// stateless, so the choice of an ISA must be part of its type.
struct Kernels {
  Isa isa;
  const RowKernels* rows;
  const GemmKernels* gemm;  // of f32
  const GemvKernels* gemv;  // of f32
  const AttentionKernels* attention;
  // Of bf16 pairs; null where the ISA multiplies none.
  const GemmKernels* pair_gemm;
  const GemvKernels* pair_gemv;
  const Int8Kernels* int8 = nullptr;
  const Int8MatrixKernels* int8_matrix = nullptr;
  const Codes4Kernels* codes4 = nullptr;
  const PairTileKernels* pair_tiles = nullptr;  // in place of pair_gemm
  const PairAttentionKernels* pair_attention = nullptr;
};

#if defined(__x86_64__)
inline constexpr Kernels kAvx2 = {.isa = Isa::Avx2,
                                  .rows = &avx2::kRows,
                                  .gemm = &avx2::kGemm,
                                  .gemv = &avx2::kGemv,
                                  .attention = &avx2::kAttention,
                                  .pair_gemm = nullptr,
                                  .pair_gemv = nullptr,
                                  .int8 = &avx2::kInt8,
                                  .codes4 = &avx2::kCodes4};
inline constexpr Kernels kAvx512 = {.isa = Isa::Avx512,
                                    .rows = &avx512::kRows,
                                    .gemm = &avx512::kGemm,
                                    .gemv = &avx512::kGemv,
                                    .attention = &avx512::kAttention,
                                    .pair_gemm = nullptr,
                                    .pair_gemv = nullptr,
                                    .codes4 = &avx512::kCodes4};
inline constexpr Kernels kAvx512Vnni = {.isa = Isa::Avx512Vnni,
                                        .rows = &avx512::kRows,
                                        .gemm = &avx512::kGemm,
                                        .gemv = &avx512::kGemv,
                                        .attention = &avx512::kAttention,
                                        .pair_gemm = nullptr,
                                        .pair_gemv = nullptr,
                                        .int8 = &avx512vnni::kInt8};
inline constexpr Kernels kAvx512Bf16 = {.isa = Isa::Avx512Bf16,
                                        .rows = &avx512::kRows,
                                        .gemm = &avx512::kGemm,
                                        .gemv = &avx512::kGemv,
                                        .attention = &avx512::kAttention,
                                        .pair_gemm = &avx512bf16::kGemm,
                                        .pair_gemv = &avx512bf16::kGemv};
inline constexpr Kernels kAmx = {.isa = Isa::Amx,
                                 .rows = &avx512::kRows,
                                 .gemm = &avx512::kGemm,
                                 .gemv = &avx512::kGemv,
                                 .attention = &avx512::kAttention,
                                 .pair_gemm = nullptr,
                                 .pair_gemv = &avx512bf16::kGemv,
                                 .int8 = &avx512vnni::kInt8,
                                 .int8_matrix = &amx::kInt8Matrix,
                                 .pair_tiles = &amx::kPairTiles,
                                 .pair_attention = &amx::kPairAttention};
#elif defined(__aarch64__)
inline constexpr Kernels kNeon = {.isa = Isa::Neon,
                                  .rows = &neon::kRows,
                                  .gemm = &neon::kGemm,
                                  .gemv = &neon::kGemv,
                                  .attention = &neon::kAttention,
                                  .pair_gemm = nullptr,
                                  .pair_gemv = nullptr,
                                  .int8 = &neon::kInt8,
                                  .codes4 = &neon::kCodes4};
inline constexpr Kernels kDotprod = {.isa = Isa::Dotprod,
                                     .rows = &neon::kRows,
                                     .gemm = &neon::kGemm,
                                     .gemv = &neon::kGemv,
                                     .attention = &neon::kAttention,
                                     .pair_gemm = nullptr,
                                     .pair_gemv = nullptr,
                                     .int8 = &dotprod::kInt8};
inline constexpr Kernels kI8mm = {.isa = Isa::I8mm,
                                  .rows = &neon::kRows,
                                  .gemm = &neon::kGemm,
                                  .gemv = &neon::kGemv,
                                  .attention = &neon::kAttention,
                                  .pair_gemm = nullptr,
                                  .pair_gemv = nullptr,
                                  .int8 = &i8mm::kInt8};
#endif

// Defines kOpAvx512 and kOpAvx2, or kOpNeon, from `implementation<kernels>(name)`: what needs no
// more than the vectors every table has.
#if defined(__x86_64__)
#define TENON_CPU_EACH_ISA(Op, name)                                                \
  const ops::Implementation k##Op##Avx512 = implementation<kAvx512>(name "avx512"); \
  const ops::Implementation k##Op##Avx2 = implementation<kAvx2>(name "avx2");
#elif defined(__aarch64__)
#define TENON_CPU_EACH_ISA(Op, name) \
  const ops::Implementation k##Op##Neon = implementation<kNeon>(name "neon");
#endif

}  // namespace tenon::cpu
