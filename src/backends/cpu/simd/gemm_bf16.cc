#include <cstring>

#include "backends/cpu/simd/gemm_tile.h"

namespace tenon::cpu::TENON_ISA {
namespace {

// Two bf16, multiplied and summed into f32 by vdpbf16ps.
struct PairUnit {
  static constexpr int kElements = 2;
  static F multiply(F a, F b, F c) {
    return _mm512_dpbf16_ps(c, (__m512bh)_mm512_castps_si512(a), (__m512bh)_mm512_castps_si512(b));
  }
  template <class Format>
  static F load_units(const uint16_t* from, int64_t left) {
    if (left >= 2 * kLanes) return _mm512_castsi512_ps(_mm512_loadu_si512(from));
    __mmask32 lanes = static_cast<__mmask32>((uint64_t{1} << left) - 1);
    return _mm512_castsi512_ps(_mm512_maskz_loadu_epi16(lanes, from));
  }
  template <class Function>
  static void with_weights(DType, Function f) {
    f(AsBf16());
  }
};

void pack_a(DType, const void* from, int64_t elements, void* to) {
  memcpy(to, from, elements * sizeof(uint16_t));
  if (elements % 2 != 0) static_cast<uint16_t*>(to)[elements] = 0;
}

}  // namespace

const GemmKernels kGemm = {
    .max_rows = kTileRows,
    .columns = kTileColumns,
    .elements_per_unit = 2,
    .pack_a = pack_a,
    .pack_b = pack_b<PairUnit>,
    .tile = run_tile<PairUnit>,
};

}  // namespace tenon::cpu::TENON_ISA
