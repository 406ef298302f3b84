#pragma once

#include <cstdint>

#include "base/error.h"

// The kinds of ops/kinds.h in f32. The accurate library functions: tolerances are derived from
// them.
namespace tenon::cuda {

enum class UnaryKind { GeluErf, GeluTanh, QuickGelu, Silu, Relu, Tanh, Sigmoid, Exp, Neg };

inline UnaryKind unary_kind(std::string_view kind) {
  if (kind == "gelu_erf") return UnaryKind::GeluErf;
  if (kind == "gelu_tanh") return UnaryKind::GeluTanh;
  if (kind == "quick_gelu") return UnaryKind::QuickGelu;
  if (kind == "silu") return UnaryKind::Silu;
  if (kind == "relu") return UnaryKind::Relu;
  if (kind == "tanh") return UnaryKind::Tanh;
  if (kind == "sigmoid") return UnaryKind::Sigmoid;
  if (kind == "exp") return UnaryKind::Exp;
  if (kind == "neg") return UnaryKind::Neg;
  throw Error(ErrorCode::Unsupported, "unknown kind").at("unary").got(kind);
}

namespace device {

__device__ __forceinline__ float sigmoid(float x) {
  return 1.0f / (1.0f + expf(-x));
}

// For x below -88.7 exp(-x) overflows and the quotient is 0 where the true product is below the
// least normal f32.
__device__ __forceinline__ float silu(float x) {
  return x / (1.0f + expf(-x));
}

__device__ __forceinline__ float apply(UnaryKind kind, float x) {
  switch (kind) {
    // erfc keeps the left tail, where 1 + erf cancels.
    case UnaryKind::GeluErf:
      return 0.5f * x * erfcf(-0.70710678118654752f * x);
    case UnaryKind::GeluTanh: {
      // 0.5 (1 + tanh u) = sigmoid(2 u), which keeps the left tail.
      float u = 0.79788456080286536f * (x + 0.044715f * x * x * x);
      return x * sigmoid(2.0f * u);
    }
    case UnaryKind::QuickGelu:
      return x * sigmoid(1.702f * x);
    case UnaryKind::Silu:
      return silu(x);
    // A NaN stays a NaN.
    case UnaryKind::Relu:
      return x < 0.0f ? 0.0f : x;
    case UnaryKind::Tanh:
      return tanhf(x);
    case UnaryKind::Sigmoid:
      return sigmoid(x);
    case UnaryKind::Exp:
      return expf(x);
    case UnaryKind::Neg:
      return -x;
  }
  return x;
}

inline constexpr float kLog2E = 1.4426950408889634f;

// 2^x, to 2 units in the last place; 0 for minus infinity.
__device__ __forceinline__ float exp2_fast(float x) {
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}

}  // namespace device
}  // namespace tenon::cuda
