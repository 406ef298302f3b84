#pragma once

#include <immintrin.h>

#include <cstdint>

// 16 lanes of float. Partial loads read no byte past the given count and fill with zero.
namespace tenon::cpu::TENON_ISA {

using F = __m512;
using Mask = __mmask16;
constexpr int kLanes = 16;
constexpr int kRegisters = 32;

inline Mask first_lanes(int64_t n) {
  return static_cast<Mask>((1u << n) - 1);
}

inline F zero() {
  return _mm512_setzero_ps();
}
inline F set(float x) {
  return _mm512_set1_ps(x);
}
inline F load(const float* p) {
  return _mm512_loadu_ps(p);
}
inline F load(const float* p, int64_t n) {
  return _mm512_maskz_loadu_ps(first_lanes(n), p);
}
inline void store(float* p, F v) {
  _mm512_storeu_ps(p, v);
}
inline void store(float* p, F v, int64_t n) {
  _mm512_mask_storeu_ps(p, first_lanes(n), v);
}

inline F add(F a, F b) {
  return _mm512_add_ps(a, b);
}
inline F sub(F a, F b) {
  return _mm512_sub_ps(a, b);
}
inline F mul(F a, F b) {
  return _mm512_mul_ps(a, b);
}
inline F div(F a, F b) {
  return _mm512_div_ps(a, b);
}
// a * b + c, rounded once.
inline F fma(F a, F b, F c) {
  return _mm512_fmadd_ps(a, b, c);
}
// Where either is NaN the result is b.
inline F max(F a, F b) {
  return _mm512_max_ps(a, b);
}
inline F min(F a, F b) {
  return _mm512_min_ps(a, b);
}
inline F abs(F a) {
  return _mm512_abs_ps(a);
}
inline F negate(F a) {
  return _mm512_castsi512_ps(
      _mm512_xor_si512(_mm512_castps_si512(a), _mm512_set1_epi32(INT32_MIN)));
}
// |magnitude| with the sign bit of `sign`.
inline F copy_sign(F magnitude, F sign) {
  __m512i bit = _mm512_set1_epi32(INT32_MIN);
  return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(bit, _mm512_castps_si512(sign),
                                                       _mm512_castps_si512(magnitude), 0xCA));
}
inline F round(F a) {
  return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT);
}
inline Mask less(F a, F b) {
  return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}
inline bool any(Mask m) {
  return m != 0;
}
inline F select(Mask m, F yes, F no) {
  return _mm512_mask_blend_ps(m, no, yes);
}
// v * 2^n for an integer-valued n, rounded once where the result is subnormal.
inline F scale_by_power(F v, F n) {
  return _mm512_scalef_ps(v, n);
}

inline float reduce_add(F v) {
  return _mm512_reduce_add_ps(v);
}
// The four sums, in order, to four floats.
inline void store_sums(float* to, F a, F b, F c, F d) {
  auto half = [](F v) {
    return _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  };
  __m256 pairs = _mm256_hadd_ps(half(a), half(b)), others = _mm256_hadd_ps(half(c), half(d));
  __m256 all = _mm256_hadd_ps(pairs, others);
  _mm_storeu_ps(to, _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1)));
}
inline float reduce_max(F v) {
  return _mm512_reduce_max_ps(v);
}

inline F bf16_to_float(__m256i v) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16));
}
inline __m256i load_16bit(const uint16_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
inline __m256i load_16bit(const uint16_t* p, int64_t n) {
  return _mm256_maskz_loadu_epi16(first_lanes(n), p);
}
inline F load_bf16(const uint16_t* p) {
  return bf16_to_float(load_16bit(p));
}
inline F load_bf16(const uint16_t* p, int64_t n) {
  return bf16_to_float(load_16bit(p, n));
}
inline F load_f16(const uint16_t* p) {
  return _mm512_cvtph_ps(load_16bit(p));
}
inline F load_f16(const uint16_t* p, int64_t n) {
  return _mm512_cvtph_ps(load_16bit(p, n));
}

// Integer rounding and not vcvtneps2bf16: that flushes subnormal numbers.
inline __m256i to_bf16_bits(F v) {
  __m512i bits = _mm512_castps_si512(v);
  __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
  __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(1 << 22));
  Mask nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
  __m512i result = _mm512_mask_mov_epi32(rounded, nan, quiet);
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(result, 16));
}
inline __m256i to_f16_bits(F v) {
  return _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT);
}
inline void store_16bit(uint16_t* p, __m256i v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v);
}
inline void store_16bit(uint16_t* p, __m256i v, int64_t n) {
  _mm256_mask_storeu_epi16(p, first_lanes(n), v);
}

}  // namespace tenon::cpu::TENON_ISA
