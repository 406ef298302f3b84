#pragma once

#include "backends/cpu/simd/vec_neon.h"

// Squares of 4 x 4 units.
namespace tenon::cpu::TENON_ISA {

using SquareRow = float32x4_t;
constexpr int kSquare = 4;

inline SquareRow load_units(const float* from) {
  return load(from);
}
inline SquareRow bf16_units(const uint16_t* from) {
  return load_bf16(from);
}
inline SquareRow f16_units(const uint16_t* from) {
  return load_f16(from);
}
inline void store_units(float* to, SquareRow row) {
  store(to, row);
}

// Rows become columns: out[i] lane j = in[j] lane i.
inline void transpose(SquareRow (&v)[kSquare]) {
  float64x2_t low_even = vreinterpretq_f64_f32(vtrn1q_f32(v[0], v[1]));
  float64x2_t low_odd = vreinterpretq_f64_f32(vtrn2q_f32(v[0], v[1]));
  float64x2_t high_even = vreinterpretq_f64_f32(vtrn1q_f32(v[2], v[3]));
  float64x2_t high_odd = vreinterpretq_f64_f32(vtrn2q_f32(v[2], v[3]));
  v[0] = vreinterpretq_f32_f64(vtrn1q_f64(low_even, high_even));
  v[1] = vreinterpretq_f32_f64(vtrn1q_f64(low_odd, high_odd));
  v[2] = vreinterpretq_f32_f64(vtrn2q_f64(low_even, high_even));
  v[3] = vreinterpretq_f32_f64(vtrn2q_f64(low_odd, high_odd));
}

}  // namespace tenon::cpu::TENON_ISA
