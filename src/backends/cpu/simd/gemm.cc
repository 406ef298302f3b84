#include "backends/cpu/simd/gemm_tile.h"

namespace tenon::cpu::TENON_ISA {
namespace {

// One f32; weights of any float type are expanded while they are packed.
struct FloatUnit {
  static constexpr int kElements = 1;
  static F multiply(F a, F b, F c) { return fma(a, b, c); }
};

struct FromF32 : FloatUnit {
  static SquareRow load_square(const float* from) { return load_units(from); }
};
struct FromBf16 : FloatUnit {
  static SquareRow load_square(const uint16_t* from) { return bf16_units(from); }
};
struct FromF16 : FloatUnit {
  static SquareRow load_square(const uint16_t* from) { return f16_units(from); }
};

void pack_a(DType dtype, const void* from, int64_t elements, void* to) {
  kRows.load(dtype, from, elements, static_cast<float*>(to));
}

void pack_b(DType dtype, const void* const* rows_from, int64_t rows, int64_t elements, void* to) {
  auto* b = static_cast<float*>(to);
  if (dtype == DType::F32) return pack_rows<FromF32, float>(rows_from, rows, elements, b);
  if (dtype == DType::BF16) return pack_rows<FromBf16, uint16_t>(rows_from, rows, elements, b);
  pack_rows<FromF16, uint16_t>(rows_from, rows, elements, b);
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
};

}  // namespace tenon::cpu::TENON_ISA
