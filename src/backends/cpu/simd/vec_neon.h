#pragma once

#include <arm_neon.h>

#include <cstdint>
#include <cstring>

// 4 lanes of float. Partial loads read no byte past the given count and fill with zero.
namespace tenon::cpu::TENON_ISA {

using F = float32x4_t;
using Mask = uint32x4_t;
constexpr int kLanes = 4;
constexpr int kRegisters = 32;

inline F zero() {
  return vdupq_n_f32(0);
}
inline F set(float x) {
  return vdupq_n_f32(x);
}
inline F load(const float* p) {
  return vld1q_f32(p);
}
inline F load(const float* p, int64_t n) {
  float lanes[4] = {};
  memcpy(lanes, p, n * sizeof(float));
  return vld1q_f32(lanes);
}
inline void store(float* p, F v) {
  vst1q_f32(p, v);
}
inline void store(float* p, F v, int64_t n) {
  float lanes[4];
  vst1q_f32(lanes, v);
  memcpy(p, lanes, n * sizeof(float));
}

inline F add(F a, F b) {
  return vaddq_f32(a, b);
}
inline F sub(F a, F b) {
  return vsubq_f32(a, b);
}
inline F mul(F a, F b) {
  return vmulq_f32(a, b);
}
inline F div(F a, F b) {
  return vdivq_f32(a, b);
}
// a * b + c, rounded once.
inline F fma(F a, F b, F c) {
  return vfmaq_f32(c, a, b);
}
// Where either is NaN the result is b, which fmax does not promise.
inline F max(F a, F b) {
  return vbslq_f32(vcgtq_f32(a, b), a, b);
}
inline F min(F a, F b) {
  return vbslq_f32(vcltq_f32(a, b), a, b);
}
inline F abs(F a) {
  return vabsq_f32(a);
}
inline F negate(F a) {
  return vnegq_f32(a);
}
// |magnitude| with the sign bit of `sign`.
inline F copy_sign(F magnitude, F sign) {
  return vbslq_f32(vdupq_n_u32(0x80000000u), sign, magnitude);
}
inline F round(F a) {
  return vrndnq_f32(a);
}
inline Mask less(F a, F b) {
  return vcltq_f32(a, b);
}
inline bool any(Mask m) {
  return vmaxvq_u32(m) != 0;
}
inline F select(Mask m, F yes, F no) {
  return vbslq_f32(m, yes, no);
}
// v * 2^n for an integer-valued n in [-252, 254]; in two steps, so that a subnormal result or a
// factor above 2^127 is right.
inline F scale_by_power(F v, F n) {
  int32x4_t whole = vcvtnq_s32_f32(n), half = vshrq_n_s32(whole, 1);
  int32x4_t rest = vsubq_s32(whole, half), bias = vdupq_n_s32(127);
  F first = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(half, bias), 23));
  F second = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(rest, bias), 23));
  return mul(mul(v, first), second);
}

inline float reduce_add(F v) {
  return vaddvq_f32(v);
}
// The four sums, in order, to four floats.
inline void store_sums(float* to, F a, F b, F c, F d) {
  vst1q_f32(to, vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d)));
}
inline float reduce_max(F v) {
  return vmaxvq_f32(v);
}

inline F bf16_to_float(uint16x4_t v) {
  return vreinterpretq_f32_u32(vshll_n_u16(v, 16));
}
inline F f16_to_float(uint16x4_t v) {
  return vcvt_f32_f16(vreinterpret_f16_u16(v));
}
inline uint16x4_t load_16bit(const uint16_t* p) {
  return vld1_u16(p);
}
inline uint16x4_t load_16bit(const uint16_t* p, int64_t n) {
  uint16_t lanes[4] = {};
  memcpy(lanes, p, n * sizeof(uint16_t));
  return vld1_u16(lanes);
}
inline F load_bf16(const uint16_t* p) {
  return bf16_to_float(load_16bit(p));
}
inline F load_bf16(const uint16_t* p, int64_t n) {
  return bf16_to_float(load_16bit(p, n));
}
inline F load_f16(const uint16_t* p) {
  return f16_to_float(load_16bit(p));
}
inline F load_f16(const uint16_t* p, int64_t n) {
  return f16_to_float(load_16bit(p, n));
}

// Integer rounding and not bfcvt, which CPUs before Armv8.6 lack.
inline uint16x4_t to_bf16_bits(F v) {
  uint32x4_t bits = vreinterpretq_u32_f32(v);
  uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
  uint32x4_t rounded = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7FFF)));
  uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(1u << 22));
  return vshrn_n_u32(vbslq_u32(vceqq_f32(v, v), rounded, quiet), 16);
}
inline uint16x4_t to_f16_bits(F v) {
  return vreinterpret_u16_f16(vcvt_f16_f32(v));
}
inline void store_16bit(uint16_t* p, uint16x4_t v) {
  vst1_u16(p, v);
}
inline void store_16bit(uint16_t* p, uint16x4_t v, int64_t n) {
  uint16_t lanes[4];
  vst1_u16(lanes, v);
  memcpy(p, lanes, n * sizeof(uint16_t));
}

}  // namespace tenon::cpu::TENON_ISA
