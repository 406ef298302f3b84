#include "backends/cpu/simd/gemm_tile.h"

namespace tenon::cpu::TENON_ISA {
namespace {

// One f32; weights of any float type are expanded while they are packed.
struct FloatUnit {
  static constexpr int kElements = 1;
  static F multiply(F a, F b, F c) { return fma(a, b, c); }
  template <class Format>
  static F load_units(const typename Format::Element* from, int64_t left) {
    return left >= kLanes ? Format::get(from) : Format::get(from, left);
  }
  template <class Function>
  static void with_weights(DType dtype, Function f) {
    with_format(dtype, f);
  }
};

void pack_a(DType dtype, const void* from, int64_t elements, void* to) {
  kRows.load(dtype, from, elements, static_cast<float*>(to));
}

}  // namespace

const GemmKernels kGemm = {
    .max_rows = kTileRows,
    .columns = kTileColumns,
    .elements_per_unit = 1,
    .pack_a = pack_a,
    .pack_b = pack_b<FloatUnit>,
    .tile = run_tile<FloatUnit>,
};

}  // namespace tenon::cpu::TENON_ISA
