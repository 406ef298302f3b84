#pragma once

#include "backends/cpu/simd/vec.h"

// exp, tanh and the activations that stand on them, for f32 vectors. Maximal errors are measured
// against long double in vector_math_test.cc.
namespace tenon::cpu::TENON_ISA {

// 1 ulp. Subnormal results are right; NaN stays NaN.
inline F exp(F x) {
  // Beyond these bounds the result is 0 or infinity anyway; the operand order keeps a NaN.
  x = min(set(89.0f), max(set(-105.0f), x));
  F n = round(mul(x, set(1.44269504f)));
  F r = fma(n, set(-0.693359375f), x);
  r = fma(n, set(2.12194440e-4f), r);
  F p = fma(set(1.37805939e-3f), r, set(8.37312452e-3f));
  p = fma(p, r, set(4.16695364e-2f));
  p = fma(p, r, set(1.66664720e-1f));
  p = fma(p, r, set(4.99999851e-1f));
  p = fma(p, r, set(1.0f));
  p = fma(p, r, set(1.0f));
  return scale_by_power(p, n);
}

// 2 ulp.
inline F tanh(F x) {
  F t = abs(x), s = mul(x, x);
  // Near 0 the other form cancels.
  F p = fma(set(-5.70498872745e-3f), s, set(2.06390887954e-2f));
  p = fma(p, s, set(-5.37397155531e-2f));
  p = fma(p, s, set(1.33314422036e-1f));
  p = fma(p, s, set(-3.33332819422e-1f));
  F near = fma(mul(s, x), p, x);
  F far = sub(set(1.0f), div(set(2.0f), add(exp(add(t, t)), set(1.0f))));
  return copy_sign(select(less(t, set(0.625f)), near, far), x);
}

// erf(t) = 1 - exp(r(t)) for t > 0.92; this is r.
inline F log_erfc_fit(F t) {
  F s = mul(t, t);
  F r = fma(set(-1.72853470e-5f), t, set(3.83197126e-4f));
  F u = fma(set(-3.88396438e-3f), t, set(2.42546219e-2f));
  r = fma(r, s, u);
  r = fma(r, t, set(-1.06777877e-1f));
  r = fma(r, t, set(-6.34846687e-1f));
  r = fma(r, t, set(-1.28717512e-1f));
  return fma(r, t, negate(t));
}

// erf for |x| <= 0.92.
inline F erf_near_zero(F x) {
  F s = mul(x, x);
  F r = fma(set(-5.96761703e-4f), s, set(4.99119423e-3f));
  r = fma(r, s, set(-2.67681349e-2f));
  r = fma(r, s, set(1.12819925e-1f));
  r = fma(r, s, set(-3.76125336e-1f));
  r = fma(r, s, set(1.28379166e-1f));
  return fma(r, x, x);
}

inline F sigmoid(F x) {
  return div(set(1.0f), add(set(1.0f), exp(negate(x))));
}

// x / 2 * (1 + erf(x / sqrt 2)). For negative x the sum cancels, so erfc is used as fitted.
inline F gelu_erf(F x) {
  F z = mul(x, set(0.707106781f)), half = mul(x, set(0.5f)), t = abs(z);
  F tail = exp(log_erfc_fit(t));
  F far = select(less(z, zero()), tail, sub(set(2.0f), tail));
  F factor = select(less(set(0.921875f), t), far, add(set(1.0f), erf_near_zero(z)));
  return mul(half, factor);
}

// x / 2 * (1 + tanh(u)) = x * sigmoid(2 u): the same function without the cancellation at u << 0.
inline F gelu_tanh(F x) {
  F u = mul(x, fma(mul(x, x), set(0.0356774081f), set(0.797884561f)));
  return mul(x, sigmoid(add(u, u)));
}

}  // namespace tenon::cpu::TENON_ISA
