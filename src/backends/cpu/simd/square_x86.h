#pragma once

#include <immintrin.h>

#include <cstdint>

// Squares of 8 x 8 units, with AVX-512 too: its 512-bit shuffles take twice the cycles for each
// number.
namespace tenon::cpu::TENON_ISA {

using SquareRow = __m256;
constexpr int kSquare = 8;

inline SquareRow load_units(const float* from) {
  return _mm256_loadu_ps(from);
}
inline SquareRow bf16_units(const uint16_t* from) {
  __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}
inline SquareRow f16_units(const uint16_t* from) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
inline void store_units(float* to, SquareRow row) {
  _mm256_storeu_ps(to, row);
}

// Rows become columns: out[i] lane j = in[j] lane i.
inline void transpose(SquareRow (&v)[kSquare]) {
  SquareRow t[kSquare];
#pragma GCC unroll 4
  for (int i = 0; i < kSquare; i += 2) {
    t[i] = _mm256_unpacklo_ps(v[i], v[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(v[i], v[i + 1]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < kSquare; i += 4) {
    v[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
    v[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xEE);
    v[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    v[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xEE);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm256_permute2f128_ps(v[i], v[i + 4], 0x20);
    t[i + 4] = _mm256_permute2f128_ps(v[i], v[i + 4], 0x31);
  }
#pragma GCC unroll 8
  for (int i = 0; i < kSquare; ++i) v[i] = t[i];
}

}  // namespace tenon::cpu::TENON_ISA
