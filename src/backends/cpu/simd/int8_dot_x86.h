#pragma once

#include "backends/cpu/simd/vec.h"

// Sums of products of codes by `vpdpbusd`, and with AVX2 in its place.
namespace tenon::cpu::TENON_ISA {

constexpr int kVectors = 2;  // of columns at once
constexpr int kShift = 0;    // codes are multiplied unsigned

#if defined(__AVX512VNNI__)
// More rows would fit the registers, but gcc 12 then moves accumulators to memory and back. With
// groups, totals in f32 take half of them.
constexpr int kMostRows = 8, kMostGrouped = 6;
using I = __m512i;
inline I load_codes(const uint8_t* p) {
  return _mm512_loadu_si512(p);
}
inline I low_codes(I v) {
  return _mm512_and_si512(v, _mm512_set1_epi8(15));
}
inline I high_codes(I v) {
  return _mm512_and_si512(_mm512_srli_epi16(v, 4), _mm512_set1_epi8(15));
}
inline I fill(int32_t v) {
  return _mm512_set1_epi32(v);
}
inline F to_floats(I v) {
  return _mm512_cvtepi32_ps(v);
}
inline I multiply32(I a, I b) {
  return _mm512_mullo_epi32(a, b);
}
inline I expand(const uint8_t* p) {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
struct Codes {
  I all;
};
template <bool four>
inline Codes prepared(I v) {
  return {v};
}
// asm and not the intrinsic: that takes its operands for vectors of another type, and gcc 12 moves
// accumulators to other registers or to memory between the two.
template <bool four>
inline I dot(I sum, const Codes& codes, I x) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(codes.all), "v"(x));
  return sum;
}
inline __m128i rounded16(const float* x, F inverse) {
  return _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(mul(load(x), inverse)));
}
#else
constexpr int kMostRows = 3, kMostGrouped = 2;
using I = __m256i;
inline I load_codes(const uint8_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
inline I low_codes(I v) {
  return _mm256_and_si256(v, _mm256_set1_epi8(15));
}
inline I high_codes(I v) {
  return _mm256_and_si256(_mm256_srli_epi16(v, 4), _mm256_set1_epi8(15));
}
inline I fill(int32_t v) {
  return _mm256_set1_epi32(v);
}
inline F to_floats(I v) {
  return _mm256_cvtepi32_ps(v);
}
inline I multiply32(I a, I b) {
  return _mm256_mullo_epi32(a, b);
}
inline I expand(const uint8_t* p) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
}
// vpmaddubsw saturates at 16 bits, which two products of 8 bits pass: so codes of 8 bits go as
// halves of 4, whose sums cannot.
struct Codes {
  I low, high;
};
template <bool four>
inline Codes prepared(I v) {
  if constexpr (four) return {v, v};
  return {low_codes(v), high_codes(v)};
}
template <bool four>
inline I dot(I sum, const Codes& codes, I x) {
  I low = _mm256_madd_epi16(_mm256_maddubs_epi16(codes.low, x), _mm256_set1_epi16(1));
  sum = _mm256_add_epi32(sum, low);
  if constexpr (four) return sum;
  I high = _mm256_madd_epi16(_mm256_maddubs_epi16(codes.high, x), _mm256_set1_epi16(16));
  return _mm256_add_epi32(sum, high);
}
inline __m128i rounded16(const float* x, F inverse) {
  I a = _mm256_cvtps_epi32(mul(load(x), inverse));
  I b = _mm256_cvtps_epi32(mul(load(x + kLanes), inverse));
  I both = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xD8);
  return _mm_packs_epi16(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
}
#endif

inline I broadcast(const int8_t* p) {
  int32_t bits;
  __builtin_memcpy(&bits, p, 4);
  return fill(bits);
}
// (zero - shift) * offset of each column; the shift is 0 here.
inline I offset_of(const uint8_t* zeros, int, int32_t offset) {
  return multiply32(expand(zeros), fill(offset));
}

template <int m>
inline void to_blocks(I (&)[m][kVectors]) {}
template <int m>
inline void from_blocks(I (&)[m][kVectors]) {}

// sums += x . `units` units of the panel, columns of one part. Rows of x are `x_pitch` bytes apart,
// units of codes `unit_bytes`.
template <int m, bool packed, int64_t x_pitch, int64_t unit_bytes, int units = 8>
__attribute__((always_inline)) inline void add_units(const int8_t* x, const uint8_t* codes,
                                                     I (&sums)[m][kVectors]) {
  auto unit = [&](int64_t at, const Codes(&columns)[kVectors]) __attribute__((always_inline)) {
#pragma GCC unroll 12
    for (int i = 0; i < m; ++i) {
      I value = broadcast(x + i * x_pitch + at * 4);
#pragma GCC unroll 2
      for (int j = 0; j < kVectors; ++j) sums[i][j] = dot<packed>(sums[i][j], columns[j], value);
    }
  };
  constexpr int kBytes = kLanes * 4;
  if constexpr (packed) {
#pragma GCC unroll 4
    for (int pair = 0; pair < units / 2; ++pair) {
      Codes first[kVectors], second[kVectors];
#pragma GCC unroll 2
      for (int j = 0; j < kVectors; ++j) {
        I both = load_codes(codes + pair * unit_bytes + j * kBytes);
        first[j] = prepared<true>(low_codes(both));
        second[j] = prepared<true>(high_codes(both));
      }
      unit(2 * pair, first);
      unit(2 * pair + 1, second);
    }
  } else {
#pragma GCC unroll 8
    for (int at = 0; at < units; ++at) {
      Codes columns[kVectors];
#pragma GCC unroll 2
      for (int j = 0; j < kVectors; ++j) {
        columns[j] = prepared<false>(load_codes(codes + at * unit_bytes + j * kBytes));
      }
      unit(at, columns);
    }
  }
}

// 16 codes of x.
inline void round16(const float* x, F inverse, int8_t* to) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), rounded16(x, inverse));
}
inline int32_t sum_of(const int8_t* codes, int64_t count) {
  __m256i sums = _mm256_setzero_si256(), ones = _mm256_set1_epi16(1);
  for (int64_t i = 0; i < count; i += 16) {
    __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes + i));
    sums = _mm256_add_epi32(sums, _mm256_madd_epi16(_mm256_cvtepi8_epi16(bytes), ones));
  }
  __m128i four = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  four = _mm_hadd_epi32(four, four);
  return _mm_cvtsi128_si32(_mm_hadd_epi32(four, four));
}
// 32 bytes of pairs: the low halves, and the high ones.
inline void split32(const uint8_t* codes, uint8_t* low, uint8_t* high) {
  __m256i both = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes));
  __m256i mask = _mm256_set1_epi8(15);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(low), _mm256_and_si256(both, mask));
  __m256i upper = _mm256_and_si256(_mm256_srli_epi16(both, 4), mask);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(high), upper);
}

}  // namespace tenon::cpu::TENON_ISA
