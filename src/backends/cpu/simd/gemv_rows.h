#pragma once

#include "backends/cpu/isa.h"
#include "backends/cpu/simd/vec.h"

// Dot products of m rows of x with several weight rows at once; both are contiguous along k. Step
// says what one vector of k is:
//   kElements: elements of k it covers
//   load_w(from), load_w(from, n), load_x(from), multiply(w, x, sum)
namespace tenon::cpu::TENON_ISA {

// Bytes ahead of the reads: about the latency of memory at the rate of one core.
constexpr int64_t kPrefetchBytes = 1024;

// Weight rows at once: as many as leave registers for the accumulators.
constexpr int rows_at_once(int m) {
#if defined(__AVX512F__)
  return m <= 4 ? 4 : m <= 6 ? 4 : 3;
#else
  return m <= 3 ? 4 - m / 2 : m <= 5 ? 2 : 1;
#endif
}

template <class Step, int m, int r>
void dot_rows(const typename Step::W* w, int64_t w_pitch, const typename Step::X* x,
              int64_t x_pitch, int64_t k, float* out, int64_t out_pitch) {
  F sums[m][r];
#pragma GCC unroll 8
  for (int i = 0; i < m; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < r; ++j) sums[i][j] = zero();
  }
  auto step = [&](int64_t at, auto load_w) __attribute__((always_inline)) {
    typename Step::V rows[r];
#pragma GCC unroll 8
    for (int j = 0; j < r; ++j) rows[j] = load_w(w + j * w_pitch + at);
#pragma GCC unroll 8
    for (int i = 0; i < m; ++i) {
      typename Step::V value = Step::load_x(x + i * x_pitch + at);
#pragma GCC unroll 8
      for (int j = 0; j < r; ++j) sums[i][j] = Step::multiply(rows[j], value, sums[i][j]);
    }
  };
  int64_t at = 0;
  for (; at + Step::kElements <= k; at += Step::kElements) {
#pragma GCC unroll 8
    for (int j = 0; j < r; ++j) {
      __builtin_prefetch(reinterpret_cast<const char*>(w + j * w_pitch + at) + kPrefetchBytes);
    }
    step(at, [](const typename Step::W* from) { return Step::load_w(from); });
  }
  if (at < k) {
    step(at, [n = k - at](const typename Step::W* from) { return Step::load_w(from, n); });
  }
#pragma GCC unroll 8
  for (int i = 0; i < m; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < r; ++j) out[i * out_pitch + j] = reduce_add(sums[i][j]);
  }
}

template <class Step, int m>
void gemv_rows(const typename Step::W* w, int64_t w_pitch, int64_t w_rows,
               const typename Step::X* x, int64_t x_pitch, int64_t k, float* out,
               int64_t out_pitch) {
  constexpr int r = rows_at_once(m);
  int64_t row = 0;
  for (; row + r <= w_rows; row += r) {
    dot_rows<Step, m, r>(w + row * w_pitch, w_pitch, x, x_pitch, k, out + row, out_pitch);
  }
  for (; row < w_rows; ++row) {
    dot_rows<Step, m, 1>(w + row * w_pitch, w_pitch, x, x_pitch, k, out + row, out_pitch);
  }
}

template <class Step, int m = 8>
void gemv(int x_rows, const void* w, int64_t w_pitch, int64_t w_rows, const void* x,
          int64_t x_pitch, int64_t k, float* out, int64_t out_pitch) {
  if constexpr (m > 0) {
    if (x_rows < m) {
      return gemv<Step, m - 1>(x_rows, w, w_pitch, w_rows, x, x_pitch, k, out, out_pitch);
    }
    gemv_rows<Step, m>(static_cast<const typename Step::W*>(w), w_pitch, w_rows,
                       static_cast<const typename Step::X*>(x), x_pitch, k, out, out_pitch);
  }
}

}  // namespace tenon::cpu::TENON_ISA
