#include "backends/cpu/simd/gemm_tile.h"

namespace tenon::cpu::TENON_ISA {
namespace {

// Two bf16, multiplied and summed into f32 by vdpbf16ps.
struct PairUnit {
  static constexpr int kElements = 2;
  static F multiply(F a, F b, F c) {
    return _mm512_dpbf16_ps(c, (__m512bh)_mm512_castps_si512(a), (__m512bh)_mm512_castps_si512(b));
  }
  static SquareRow load_square(const uint16_t* from) {
    return _mm256_loadu_ps(reinterpret_cast<const float*>(from));
  }
};

void pack_a(DType, const void* from, int64_t elements, void* to) {
  memcpy(to, from, elements * sizeof(uint16_t));
  if (elements % 2 != 0) static_cast<uint16_t*>(to)[elements] = 0;
}

void pack_b(DType, const void* const* rows_from, int64_t rows, int64_t elements, void* to) {
  pack_rows<PairUnit, uint16_t>(rows_from, rows, elements, static_cast<float*>(to));
}

}  // namespace

const GemmKernels kGemm = {
    .max_rows = kTileRows,
    .columns = kTileColumns,
    .elements_per_unit = 2,
    .units_at_once = kUnitsAtOnce,
    .pack_a = pack_a,
    .pack_b = pack_b,
    .tile = run_tile<PairUnit>,
};

}  // namespace tenon::cpu::TENON_ISA
