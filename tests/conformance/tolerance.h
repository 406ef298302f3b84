#pragma once

#include <string_view>

#include "tensor/dtype.h"

// How far an implementation may be from the exact result. Bounds are derived, never tuned.
//
// Model: inputs are read exactly; arithmetic is f32 with unit roundoff u = 2^-24 (kUnit), in any
// order, fused or not; the result is rounded once into the output type. So for each element
//     |got - exact| <= bound + half_ulp(output type, |exact| + bound)
// where `exact` is the reference run with f64 outputs and `bound` is what each op's test derives
// for its f32 arithmetic, to first order in u:
// - sum of n products, any order: n u sum |a_i b_i|  (Higham, "Accuracy and Stability", 3.1: the
//   factor is n u / (1 - n u), and n u < 2^-8 in every case here; kSlack pays for the difference).
// - every further operation adds u times the magnitude of its result.
// - exp, tanh, erf, sigmoid, rsqrt: at most 4 ulp, that is kFunction = 8 u relative. sin and cos:
// the
//   same, absolute. That is what a careful polynomial or a vendor's accurate function gives, and
//   what a hardware approximation of 2^-11 does not.
// - an error e of an argument x becomes at most sup |f'| e.
// A bound of exactly 0 says that no arithmetic happens: the result must be the exact value rounded
// once, to nearest with ties to even.
namespace tenon::conformance {

inline constexpr double kUnit = 0x1p-24;
inline constexpr double kFunction = 8 * kUnit;
// For the second-order terms that the derivations leave out.
inline constexpr double kSlack = 1 + 0x1p-7;
// Numbers below the smallest normal f32 may be flushed to zero.
inline constexpr double kSmallestNormal = 0x1p-126;

// Half the distance of neighbours of `dtype` at `magnitude`.
double half_ulp(DType dtype, double magnitude);

// Error of evaluating a kind of `unary` at an exact x in f32, by its formula in ops/unary.h.
double unary_error(std::string_view kind, double x);
// sup |f'| near x: how much an error of the argument grows.
double unary_slope(std::string_view kind, double x);

}  // namespace tenon::conformance
