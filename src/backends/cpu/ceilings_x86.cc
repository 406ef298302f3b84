// Loops for x86-64: vectors and AMX.
#include <immintrin.h>

#include "backends/cpu/ceiling_loops.h"
#include "backends/cpu/cpu_features.h"

namespace tenon::cpu {
namespace {

constexpr int kSums = 12;  // enough to hide the latency, few enough for 16 registers
constexpr int64_t kRounds = 400'000;

// The values stay finite and are not known to the compiler.
volatile float g_seed = 1e-8f;

__attribute__((target("avx2,fma"))) float fma_loop_256() {
  __m256 sums[kSums], x = _mm256_set1_ps(g_seed);
  for (auto& sum : sums) sum = x;
  for (int64_t i = 0; i < kRounds; ++i) {
#pragma GCC unroll 12
    for (auto& sum : sums) sum = _mm256_fmadd_ps(x, x, sum);
  }
  for (auto& sum : sums) x = _mm256_add_ps(x, sum);
  return _mm256_cvtss_f32(x);
}

__attribute__((target("avx512f"))) float fma_loop_512() {
  __m512 sums[kSums], x = _mm512_set1_ps(g_seed);
  for (auto& sum : sums) sum = x;
  for (int64_t i = 0; i < kRounds; ++i) {
#pragma GCC unroll 12
    for (auto& sum : sums) sum = _mm512_fmadd_ps(x, x, sum);
  }
  for (auto& sum : sums) x = _mm512_add_ps(x, sum);
  return _mm512_cvtss_f32(x);
}

__attribute__((target("avx512f,avx512bf16"))) float bf16_pair_loop() {
  __m512 sums[kSums], x = _mm512_set1_ps(g_seed);
  auto pairs = (__m512bh)_mm512_castps_si512(x);
  for (auto& sum : sums) sum = x;
  for (int64_t i = 0; i < kRounds; ++i) {
#pragma GCC unroll 12
    for (auto& sum : sums) sum = _mm512_dpbf16_ps(sum, pairs, pairs);
  }
  for (auto& sum : sums) x = _mm512_add_ps(x, sum);
  return _mm512_cvtss_f32(x);
}

__attribute__((target("avx512f,avx512vnni"))) float int8_vector_loop() {
  __m512i sums[kSums], x = _mm512_castps_si512(_mm512_set1_ps(g_seed));
  for (auto& sum : sums) sum = x;
  for (int64_t i = 0; i < kRounds; ++i) {
#pragma GCC unroll 12
    for (auto& sum : sums) sum = _mm512_dpbusd_epi32(sum, x, x);
  }
  for (auto& sum : sums) x = _mm512_xor_si512(x, sum);
  alignas(64) int32_t lanes[16];
  _mm512_store_si512(lanes, x);
  return static_cast<float>(lanes[0]);
}

// Eight tiles of 16 rows x 64 bytes: four hold sums, and nothing is loaded in between.
struct alignas(64) TileShapes {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
constexpr double kTilesOfRound = 4;
constexpr int64_t kTileRounds = 50'000;

__attribute__((target("amx-tile"))) void begin_tiles() {
  TileShapes shapes;
  asm volatile("" : : "r"(&shapes) : "memory");
  _tile_loadconfig(&shapes);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
}

__attribute__((target("amx-tile,amx-bf16"))) float bf16_tile_loop() {
  begin_tiles();
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
  begin_tiles();
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

// Of a loop over vectors, from the operations of one instruction.
RateLoop of_vectors(float (*run)(), double operations) {
  return {run, operations * kSums * kRounds};
}

// Of a loop over tiles: 16 x 16 sums of 16 times `elements`, which 4 bytes hold.
RateLoop of_tiles(float (*run)(), double elements) {
  return {run, 2 * 16 * 16 * 16 * elements * kTilesOfRound * kTileRounds};
}

}  // namespace

RateLoop fma_loop() {
  if (cpu_supports(Isa::Avx512).ok) return of_vectors(fma_loop_512, 32);
  return of_vectors(fma_loop_256, 16);
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
