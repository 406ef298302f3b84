#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

// 8 lanes of float (AVX2, FMA, F16C). Partial loads read no byte past the given count and fill with
// zero.
namespace tenon::cpu::TENON_ISA {

using F = __m256;
using Mask = __m256;
constexpr int kLanes = 8;
constexpr int kRegisters = 16;

inline __m256i first_lanes(int64_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

inline F zero() {
  return _mm256_setzero_ps();
}
inline F set(float x) {
  return _mm256_set1_ps(x);
}
inline F load(const float* p) {
  return _mm256_loadu_ps(p);
}
inline F load(const float* p, int64_t n) {
  return _mm256_maskload_ps(p, first_lanes(n));
}
inline void store(float* p, F v) {
  _mm256_storeu_ps(p, v);
}
inline void store(float* p, F v, int64_t n) {
  _mm256_maskstore_ps(p, first_lanes(n), v);
}

inline F add(F a, F b) {
  return _mm256_add_ps(a, b);
}
inline F sub(F a, F b) {
  return _mm256_sub_ps(a, b);
}
inline F mul(F a, F b) {
  return _mm256_mul_ps(a, b);
}
inline F div(F a, F b) {
  return _mm256_div_ps(a, b);
}
// a * b + c, rounded once.
inline F fma(F a, F b, F c) {
  return _mm256_fmadd_ps(a, b, c);
}
// Where either is NaN the result is b.
inline F max(F a, F b) {
  return _mm256_max_ps(a, b);
}
inline F min(F a, F b) {
  return _mm256_min_ps(a, b);
}
inline F sign_bits() {
  return _mm256_set1_ps(-0.0f);
}
inline F abs(F a) {
  return _mm256_andnot_ps(sign_bits(), a);
}
inline F negate(F a) {
  return _mm256_xor_ps(a, sign_bits());
}
// |magnitude| with the sign bit of `sign`.
inline F copy_sign(F magnitude, F sign) {
  return _mm256_or_ps(abs(magnitude), _mm256_and_ps(sign_bits(), sign));
}
inline F round(F a) {
  return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
inline Mask less(F a, F b) {
  return _mm256_cmp_ps(a, b, _CMP_LT_OQ);
}
inline bool any(Mask m) {
  return _mm256_movemask_ps(m) != 0;
}
inline F select(Mask m, F yes, F no) {
  return _mm256_blendv_ps(no, yes, m);
}
// v * 2^n for an integer-valued n in [-252, 254]; in two steps, so that a subnormal result or a
// factor above 2^127 is right.
inline F scale_by_power(F v, F n) {
  __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
  __m256i rest = _mm256_sub_epi32(whole, half), bias = _mm256_set1_epi32(127);
  F first = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
  F second = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23));
  return mul(mul(v, first), second);
}

inline float reduce_add(F v) {
  __m128 sum = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
  return _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)));
}
// The four sums, in order, to four floats.
inline void store_sums(float* to, F a, F b, F c, F d) {
  F all = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
  _mm_storeu_ps(to, _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1)));
}
inline float reduce_max(F v) {
  __m128 top = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  top = _mm_max_ps(top, _mm_movehl_ps(top, top));
  return _mm_cvtss_f32(_mm_max_ss(top, _mm_movehdup_ps(top)));
}

inline F bf16_to_float(__m128i v) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(v), 16));
}
inline __m128i load_16bit(const uint16_t* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
inline __m128i load_16bit(const uint16_t* p, int64_t n) {
  alignas(16) uint16_t lanes[8] = {};
  memcpy(lanes, p, n * sizeof(uint16_t));
  return _mm_load_si128(reinterpret_cast<const __m128i*>(lanes));
}
inline F load_bf16(const uint16_t* p) {
  return bf16_to_float(load_16bit(p));
}
inline F load_bf16(const uint16_t* p, int64_t n) {
  return bf16_to_float(load_16bit(p, n));
}
inline F load_f16(const uint16_t* p) {
  return _mm256_cvtph_ps(load_16bit(p));
}
inline F load_f16(const uint16_t* p, int64_t n) {
  return _mm256_cvtph_ps(load_16bit(p, n));
}

inline __m128i to_bf16_bits(F v) {
  __m256i bits = _mm256_castps_si256(v);
  __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF)));
  __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(1 << 22));
  __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
  __m256i high = _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, nan), 16);
  __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(high, high), 0x08);
  return _mm256_castsi256_si128(packed);
}
inline __m128i to_f16_bits(F v) {
  return _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT);
}
inline void store_16bit(uint16_t* p, __m128i v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), v);
}
inline void store_16bit(uint16_t* p, __m128i v, int64_t n) {
  alignas(16) uint16_t lanes[8];
  _mm_store_si128(reinterpret_cast<__m128i*>(lanes), v);
  memcpy(p, lanes, n * sizeof(uint16_t));
}

}  // namespace tenon::cpu::TENON_ISA
