#include "backends/cpu/simd/gemm_tile.h"

namespace tenon::cpu::TENON_ISA {
namespace {

void pack_a(DType dtype, const void* from, int64_t elements, void* to) {
  kRows.load(dtype, from, elements, static_cast<float*>(to));
}

void pack_b(DType dtype, const void* const* rows_from, int64_t rows, int64_t elements, void* to) {
  pack_floats<kTileColumns>(dtype, rows_from, rows, elements, static_cast<float*>(to));
}

}  // namespace

const GemmKernels kGemm = {
    .max_rows = kTileRows,
    .columns = kTileColumns,
    .elements_per_unit = 1,
    .units_at_once = kUnitsAtOnce,
    .pack_a = pack_a,
    .pack_b = pack_b,
    .tile = run_tile<FloatUnit>,
    .in_place = &kInPlace,
};

}  // namespace tenon::cpu::TENON_ISA
