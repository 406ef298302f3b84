#pragma once

// The vector type of the ISA this file is compiled for. Sources below simd/ are compiled once per
// ISA with TENON_ISA as the namespace, and include nothing that has inline functions outside of it:
// the linker keeps one copy of such a function, and that copy could hold instructions the CPU
// lacks.
#if !defined(TENON_ISA)
#error "sources of simd/ are compiled through the wrappers that backends/cpu/CMakeLists.txt writes"
#endif
#if defined(__aarch64__)
#include "backends/cpu/simd/vec_neon.h"
#elif defined(__AVX512F__)
#include "backends/cpu/simd/vec_avx512.h"
#else
#include "backends/cpu/simd/vec_avx2.h"
#endif

#include "tensor/dtype.h"

namespace tenon::cpu::TENON_ISA {

// Memory formats of float: how a vector of them is read and written.
struct AsF32 {
  using Element = float;
  static F get(const float* p) { return load(p); }
  static F get(const float* p, int64_t n) { return load(p, n); }
  static void put(float* p, F v) { store(p, v); }
  static void put(float* p, F v, int64_t n) { store(p, v, n); }
};
struct AsBf16 {
  using Element = uint16_t;
  static F get(const uint16_t* p) { return load_bf16(p); }
  static F get(const uint16_t* p, int64_t n) { return load_bf16(p, n); }
  static void put(uint16_t* p, F v) { store_16bit(p, to_bf16_bits(v)); }
  static void put(uint16_t* p, F v, int64_t n) { store_16bit(p, to_bf16_bits(v), n); }
};
struct AsF16 {
  using Element = uint16_t;
  static F get(const uint16_t* p) { return load_f16(p); }
  static F get(const uint16_t* p, int64_t n) { return load_f16(p, n); }
  static void put(uint16_t* p, F v) { store_16bit(p, to_f16_bits(v)); }
  static void put(uint16_t* p, F v, int64_t n) { store_16bit(p, to_f16_bits(v), n); }
};

// Calls f with the format of the dtype; supports() has excluded all other types.
template <class Function>
inline void with_format(DType dtype, Function f) {
  if (dtype == DType::F32) return f(AsF32());
  if (dtype == DType::BF16) return f(AsBf16());
  return f(AsF16());
}

// Calls f(i, n) for each vector of [0, count): n is kLanes except in the last one.
template <class Function>
inline void for_vectors(int64_t count, Function f) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) f(i, kLanes);
  if (i < count) f(i, count - i);
}

// get and put of a whole or partial vector; with a constant n == kLanes the branch disappears.
template <class Format>
inline F get(const typename Format::Element* p, int64_t n) {
  return n == kLanes ? Format::get(p) : Format::get(p, n);
}
template <class Format>
inline void put(typename Format::Element* p, F v, int64_t n) {
  if (n == kLanes) return Format::put(p, v);
  Format::put(p, v, n);
}

}  // namespace tenon::cpu::TENON_ISA
