#include "backends/cpu/simd/gemv_rows.h"

namespace tenon::cpu::TENON_ISA {
namespace {

// Pairs of bf16 on both sides.
struct PairStep {
  using W = uint16_t;
  using X = uint16_t;
  using V = __m512i;
  static constexpr int64_t kElements = 2 * kLanes;
  static constexpr int kMostRows = 8;
  static V load_w(const W* from) { return _mm512_loadu_si512(from); }
  static V load_w(const W* from, int64_t n) {
    return _mm512_maskz_loadu_epi16(static_cast<__mmask32>((uint64_t{1} << n) - 1), from);
  }
  static V load_x(const X* from) { return _mm512_loadu_si512(from); }
  static F multiply(V w, V x, F sum) { return _mm512_dpbf16_ps(sum, (__m512bh)w, (__m512bh)x); }
};

template <bool from_memory>
void run(DType, const void* w, int64_t w_pitch, int64_t w_rows, const void* x, int64_t x_pitch,
         int m, int64_t k, float* out, int64_t out_pitch) {
  gemv<PairStep, from_memory>(m, w, w_pitch, w_rows, x, x_pitch, k, out, out_pitch);
}

}  // namespace

const GemvKernels kGemv = {.max_rows = PairStep::kMostRows,
                           .worth_up_to = 24,
                           .x_dtype = DType::BF16,
                           .run = run<true>,
                           .run_again = run<false>};

}  // namespace tenon::cpu::TENON_ISA
