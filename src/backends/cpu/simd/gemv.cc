#include "backends/cpu/simd/gemv_rows.h"

namespace tenon::cpu::TENON_ISA {
namespace {

// Measured: more rows of x at once, or in all, are slower than two calls, or the packed product.
constexpr int kMost = kRegisters == 32 ? 6 : 4, kWorthUpTo = kLanes == 16 ? 24 : 12;

// Weights of any float type are expanded to f32 as they are read.
template <class Format>
struct ExpandStep {
  using W = typename Format::Element;
  using X = float;
  using V = F;
  static constexpr int64_t kElements = kLanes;
  static constexpr int kMostRows = kMost;
  static F load_w(const W* from) { return Format::get(from); }
  static F load_w(const W* from, int64_t n) { return Format::get(from, n); }
  static F load_x(const float* from) { return load(from); }
  static F multiply(F w, F x, F sum) { return fma(w, x, sum); }
};

template <bool from_memory>
void run(DType w_dtype, const void* w, int64_t w_pitch, int64_t w_rows, const void* x,
         int64_t x_pitch, int m, int64_t k, float* out, int64_t out_pitch) {
  with_format(w_dtype, [&]<class Format>(Format) {
    gemv<ExpandStep<Format>, from_memory>(m, w, w_pitch, w_rows, x, x_pitch, k, out, out_pitch);
  });
}

}  // namespace

const GemvKernels kGemv = {.max_rows = kMost,
                           .worth_up_to = kWorthUpTo,
                           .x_dtype = DType::F32,
                           .run = run<true>,
                           .run_again = run<false>};

}  // namespace tenon::cpu::TENON_ISA
