// Loops for x86-64: vectors and AMX.
#include <immintrin.h>

#include "backends/cpu/ceiling_loops.h"
#include "backends/cpu/cpu_features.h"

namespace tenon::cpu {
namespace {

// Sums of a loop: enough to hide the latency, and beside the factors as many as there are
// registers.
constexpr int kSums = 24, kSums256 = 12;
constexpr int64_t kRounds = 200'000;  // a few milliseconds: clocks follow the load

// Factors that the compiler does not know: `set` bits, and random ones where `mask` says so. A
// core's clock depends on how many bits change: with one constant everywhere a Xeon multiplies 8 %
// faster than with any data that means something.
struct alignas(64) Factors {
  uint32_t bits[32][16];
  Factors(uint32_t set, uint32_t mask) {
    uint32_t state = 0;
    for (auto& row : bits) {
      for (auto& value : row) {
        uint32_t mixed = (state += 0x9E3779B9u);
        mixed = (mixed ^ mixed >> 16) * 0x85EBCA6Bu;
        mixed = (mixed ^ mixed >> 13) * 0xC2B2AE35u;
        value = set ^ ((mixed ^ mixed >> 16) & mask);
      }
    }
    asm volatile("" : : "r"(bits) : "memory");
  }
  const float* at(int row) const { return reinterpret_cast<const float*>(bits[row]); }
  // Numbers of both signs between 0.5 and 2.
  static Factors f32() { return {0x3F000000u, 0x80FFFFFFu}; }
  static Factors bf16() { return {0x3F003F00u, 0x80FF80FFu}; }
  static Factors int8() { return {0, 0xFFFFFFFFu}; }
};

// Each round adds a product to every sum and takes one off.
__attribute__((target("avx2,fma"))) float fma_loop_256() {
  Factors factors = Factors::f32();
  __m256 sums[kSums256], x[2], y[2];
  for (int j = 0; j < kSums256; ++j) sums[j] = _mm256_load_ps(factors.at(8 + j));
  for (int i = 0; i < 2; ++i) {
    x[i] = _mm256_load_ps(factors.at(i)), y[i] = _mm256_load_ps(factors.at(2 + i));
  }
  for (int64_t i = 0; i < kRounds; ++i) {
#pragma GCC unroll 12
    for (int j = 0; j < kSums256; ++j) sums[j] = _mm256_fmadd_ps(x[j % 2], y[j / 2 % 2], sums[j]);
#pragma GCC unroll 12
    for (int j = 0; j < kSums256; ++j)
      sums[j] = _mm256_fnmadd_ps(x[(j + 1) % 2], y[j / 2 % 2], sums[j]);
  }
  for (auto& sum : sums) x[0] = _mm256_add_ps(x[0], sum);
  return _mm256_cvtss_f32(x[0]);
}

// 24 sums that take a product each: as text, since gcc 12 keeps sums of some intrinsics in memory.
#define TENON_FOUR(op, y, a, b, c, d)                                              \
  op " %%zmm0, %%zmm" y ", %%zmm" a "\n" op " %%zmm1, %%zmm" y ", %%zmm" b "\n" op \
     " %%zmm2, %%zmm" y ", %%zmm" c "\n" op " %%zmm3, %%zmm" y ", %%zmm" d "\n"
#define TENON_EACH_SUM(op)                    \
  TENON_FOUR(op, "4", "8", "9", "10", "11")   \
  TENON_FOUR(op, "5", "12", "13", "14", "15") \
  TENON_FOUR(op, "6", "16", "17", "18", "19") \
  TENON_FOUR(op, "7", "20", "21", "22", "23") \
  TENON_FOUR(op, "5", "24", "25", "26", "27") TENON_FOUR(op, "6", "28", "29", "30", "31")
#define TENON_LOAD(to) "vmovaps " to "*64(%[factors]), %%zmm" to "\n"
#define TENON_LOAD8(a, b, c, d, e, f, g, h) \
  TENON_LOAD(a)                             \
  TENON_LOAD(b) TENON_LOAD(c) TENON_LOAD(d) TENON_LOAD(e) TENON_LOAD(f) TENON_LOAD(g) TENON_LOAD(h)
// Twice 24 products a round: those of `op`, and of `back`.
#define TENON_LOOP_512(op, back, factors_)                                                        \
  int64_t rounds = kRounds;                                                                       \
  asm volatile(TENON_LOAD8("0", "1", "2", "3", "4", "5", "6", "7")                                \
                   TENON_LOAD8("8", "9", "10", "11", "12", "13", "14", "15")                      \
                       TENON_LOAD8("16", "17", "18", "19", "20", "21", "22", "23")                \
                           TENON_LOAD8("24", "25", "26", "27", "28", "29", "30",                  \
                                       "31") ".p2align 6\n1:\n" TENON_EACH_SUM(op)                \
                               TENON_EACH_SUM(back) "decq %[rounds]\njnz 1b\n"                    \
               : [rounds] "+r"(rounds)                                                            \
               : [factors] "r"((factors_).at(0))                                                  \
               : "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",  \
                 "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm16",   \
                 "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", \
                 "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31")

__attribute__((target("avx512f"))) float fma_loop_512() {
  Factors factors = Factors::f32();
  TENON_LOOP_512("vfmadd231ps", "vfnmadd231ps", factors);
  return 0;
}

__attribute__((target("avx512f,avx512bf16"))) float bf16_pair_loop() {
  Factors factors = Factors::bf16();
  TENON_LOOP_512("vdpbf16ps", "vdpbf16ps", factors);
  return 0;
}

__attribute__((target("avx512f,avx512vnni"))) float int8_vector_loop() {
  Factors factors = Factors::int8();
  TENON_LOOP_512("vpdpbusd", "vpdpbusd", factors);
  return 0;
}

// Eight tiles of 16 rows x 64 bytes: four hold sums, and nothing is loaded in between.
struct alignas(64) TileShapes {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
constexpr double kTilesOfRound = 4;
constexpr int64_t kTileRounds = 200'000;

__attribute__((target("amx-tile"))) void begin_tiles(const Factors& factors) {
  TileShapes shapes;
  asm volatile("" : : "r"(&shapes) : "memory");
  _tile_loadconfig(&shapes);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_loadd(4, factors.at(0), 64);
  _tile_loadd(5, factors.at(4), 64);
  _tile_loadd(6, factors.at(8), 64);
  _tile_loadd(7, factors.at(16), 64);
}

__attribute__((target("amx-tile,amx-bf16"))) float bf16_tile_loop() {
  begin_tiles(Factors::bf16());
  for (int64_t i = 0; i < kTileRounds; ++i) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_release();
  return 0;
}

__attribute__((target("amx-tile,amx-int8"))) float int8_tile_loop() {
  begin_tiles(Factors::int8());
  for (int64_t i = 0; i < kTileRounds; ++i) {
    _tile_dpbusd(0, 4, 6);
    _tile_dpbusd(1, 4, 7);
    _tile_dpbusd(2, 5, 6);
    _tile_dpbusd(3, 5, 7);
  }
  _tile_release();
  return 0;
}

// Three prefetches for each line, as the kernels have them: a core drops one when its queue of
// misses is full, and without any the kernels read up to half as fast again as this loop.
inline void fetch_line(const std::byte* at) {
  asm volatile("prefetcht0 %0" : : "m"(at[1024]));
  asm volatile("prefetcht1 %0" : : "m"(at[2048]));
  asm volatile("prefetcht1 %0" : : "m"(at[4096]));
}

}  // namespace

__attribute__((target("avx2"))) int64_t read_all(const std::byte* memory, size_t bytes,
                                                 const ReadPattern& pattern) {
  __m256i sums[4] = {};
  size_t stream = bytes / pattern.streams;
  for (size_t i = 0; i + 256 <= stream; i += 256) {
    for (int s = 0; s < pattern.streams; ++s) {
      const std::byte* from = memory + s * stream + i;
      for (int j = 0; pattern.fetch && j < 4; ++j) fetch_line(from + j * 64);
      for (int j = 0; j < 8; ++j) {
        auto* at = reinterpret_cast<const __m256i*>(from + j * 32);
        sums[j % 4] = _mm256_add_epi64(sums[j % 4], _mm256_loadu_si256(at));
      }
    }
  }
  __m256i sum =
      _mm256_add_epi64(_mm256_add_epi64(sums[0], sums[1]), _mm256_add_epi64(sums[2], sums[3]));
  return _mm256_extract_epi64(sum, 0) + _mm256_extract_epi64(sum, 3);
}

namespace {

// Of a loop over vectors, from the operations of one instruction: each round has two for each sum.
RateLoop of_vectors(float (*run)(), double operations, int sums = kSums) {
  return {run, operations * sums * 2 * kRounds};
}

// Of a loop over tiles: 16 x 16 sums of 16 times `elements`, which 4 bytes hold.
RateLoop of_tiles(float (*run)(), double elements) {
  return {run, 2 * 16 * 16 * 16 * elements * kTilesOfRound * kTileRounds};
}

}  // namespace

RateLoop fma_loop() {
  if (cpu_supports(Isa::Avx512).ok) return of_vectors(fma_loop_512, 32);
  return of_vectors(fma_loop_256, 16, kSums256);
}

RateLoop bf16_loop() {
  if (cpu_supports(Isa::Amx).ok) return of_tiles(bf16_tile_loop, 2);
  if (!cpu_supports(Isa::Avx512Bf16).ok) return {};
  return of_vectors(bf16_pair_loop, 64);
}

RateLoop int8_loop() {
  if (cpu_supports(Isa::Amx).ok) return of_tiles(int8_tile_loop, 4);
  if (!cpu_supports(Isa::Avx512Vnni).ok) return {};
  return of_vectors(int8_vector_loop, 128);
}

}  // namespace tenon::cpu
