#pragma once

#include "backends/cpu/isa.h"
#include "backends/cpu/simd/vec.h"

// Dot products of m rows of x with several weight rows at once; both are contiguous along k. Step
// says what one vector of k is:
//   kElements: elements of k it covers
//   kMostRows: of x at once
//   load_w(from), load_w(from, n), load_x(from), multiply(w, x, sum)
namespace tenon::cpu::TENON_ISA {

// x is taken in chunks of k that stay in L1 beside the passing weights, unless they got so short
// that the streams of the weight would start anew too often.
constexpr int64_t kChunkBytes = 16 * 1024;
constexpr int64_t kMinChunkElements = 2048;
// Weight rows with m rows of x: the accumulators take the registers that are left.
constexpr int rows_at_once(int m) {
  return m <= (kRegisters == 32 ? 6 : 3) ? 4 : 3;
}

// Fetches a line of a later row into L2 only, since L1 is full of x; some lines more than once. A
// core drops a prefetch when its queue of misses is full, so a single one for each line reaches two
// thirds of the memory rate.
template <int vector_bytes>
__attribute__((always_inline)) inline void fetch_ahead(const void* at) {
  auto* line = static_cast<const char*>(at);
  __builtin_prefetch(line, 0, 2);
  if constexpr (kLanes > 4) __builtin_prefetch(line + 256, 0, 2);
  if constexpr (vector_bytes >= 64) __builtin_prefetch(line + 512, 0, 2);
}

// out[i, j] (+)= x row i . weight row j, i < m, j < r.
// A first pass over the weight comes from memory, later ones from L2.
template <class Step, int m, int r, bool from_memory>
inline void dot_rows(const typename Step::W* w, int64_t w_pitch, const typename Step::X* x,
                     int64_t x_pitch, int64_t k, float* out, int64_t out_pitch, bool accumulate) {
  F sums[m][r];
#pragma GCC unroll 8
  for (int i = 0; i < m; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < r; ++j) sums[i][j] = zero();
  }
  constexpr int vector_bytes = static_cast<int>(Step::kElements * sizeof(typename Step::W));
  auto step = [&](int64_t at, auto load_w) __attribute__((always_inline)) {
    typename Step::V rows[r];
#pragma GCC unroll 8
    for (int j = 0; j < r; ++j) {
      // The rows after these, at the same k. Not in a loop of its own: gcc drops a loop that only
      // prefetches, which to it has no effect.
      if constexpr (from_memory) fetch_ahead<vector_bytes>(w + (j + r) * w_pitch + at);
      rows[j] = load_w(w + j * w_pitch + at);
    }
#pragma GCC unroll 8
    for (int i = 0; i < m; ++i) {
      typename Step::V value = Step::load_x(x + i * x_pitch + at);
#pragma GCC unroll 8
      for (int j = 0; j < r; ++j) sums[i][j] = Step::multiply(rows[j], value, sums[i][j]);
    }
  };
  int64_t at = 0;
  for (; at + Step::kElements <= k; at += Step::kElements) {
    step(at, [](const typename Step::W* from) { return Step::load_w(from); });
  }
  if (at < k) {
    step(at, [n = k - at](const typename Step::W* from) { return Step::load_w(from, n); });
  }
#pragma GCC unroll 8
  for (int i = 0; i < m; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < r; ++j) {
      float* to = out + i * out_pitch + j;
      *to = reduce_add(sums[i][j]) + (accumulate ? *to : 0.0f);
    }
  }
}

template <class Step, int m, bool from_memory>
void gemv_rows(const typename Step::W* w, int64_t w_pitch, int64_t w_rows,
               const typename Step::X* x, int64_t x_pitch, int64_t k, float* out,
               int64_t out_pitch) {
  constexpr int r = rows_at_once(m);
  constexpr int64_t most = kChunkBytes / (m * static_cast<int64_t>(sizeof(*x)));
  constexpr int64_t wanted = most > kMinChunkElements ? most : kMinChunkElements;
  int64_t chunks = (k + wanted - 1) / wanted;
  int64_t chunk = chunks <= 1 ? k : (k / chunks + kGemvPadding) / kGemvPadding * kGemvPadding;
  for (int64_t first = 0; first < k || first == 0; first += chunk) {
    int64_t count = k - first < chunk ? k - first : chunk;
    int64_t row = 0;
    for (; row + r <= w_rows; row += r) {
      dot_rows<Step, m, r, from_memory>(w + row * w_pitch + first, w_pitch, x + first, x_pitch,
                                        count, out + row, out_pitch, first > 0);
    }
    for (; row < w_rows; ++row) {
      dot_rows<Step, m, 1, from_memory>(w + row * w_pitch + first, w_pitch, x + first, x_pitch,
                                        count, out + row, out_pitch, first > 0);
    }
    if (chunk == 0) break;
  }
}

template <class Step, bool from_memory, int m = Step::kMostRows>
void gemv(int x_rows, const void* w, int64_t w_pitch, int64_t w_rows, const void* x,
          int64_t x_pitch, int64_t k, float* out, int64_t out_pitch) {
  if constexpr (m > 0) {
    if (x_rows < m) {
      return gemv<Step, from_memory, m - 1>(x_rows, w, w_pitch, w_rows, x, x_pitch, k, out,
                                            out_pitch);
    }
    gemv_rows<Step, m, from_memory>(static_cast<const typename Step::W*>(w), w_pitch, w_rows,
                                    static_cast<const typename Step::X*>(x), x_pitch, k, out,
                                    out_pitch);
  }
}

}  // namespace tenon::cpu::TENON_ISA
