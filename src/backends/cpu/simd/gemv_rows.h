#pragma once

#include "backends/cpu/isa.h"
#include "backends/cpu/simd/prefetch.h"
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
constexpr int kMostStreamRows = 4;  // of x; with more arithmetic the order of reads matters less
// Weight rows with m rows of x: the accumulators take the registers that are left.
constexpr int rows_at_once(int m) {
  return m <= (kRegisters == 32 ? 6 : 3) ? 4 : 3;
}

// What comes next from memory. Streams: the weight rows at hand begin r long runs of rows, and each
// goes on behind itself; far apart they read a sixth faster than neighbours do. Rows: the r rows
// after these, where k is cut and no row is read to its end.
enum class Fetch { None, Rows, Streams };

// A core drops a prefetch when its queue of misses is full, so a single one for each line reaches
// two thirds of the memory rate. With Rows into L2 only, since L1 is full of x; some lines more
// than once.
template <Fetch fetch, int vector_bytes>
__attribute__((always_inline)) inline void fetch_ahead(const void* at) {
  auto* line = static_cast<const char*>(at);
  if constexpr (fetch == Fetch::Rows) {
    __builtin_prefetch(line, 0, 2);
    if constexpr (kLanes > 4) __builtin_prefetch(line + 256, 0, 2);
    if constexpr (vector_bytes >= 64) __builtin_prefetch(line + 512, 0, 2);
  } else {
    __builtin_prefetch(line + 1024, 0, 3);
    if constexpr (kLanes > 4) __builtin_prefetch(line + 2048, 0, 2);
    if constexpr (vector_bytes >= 64) __builtin_prefetch(line + 4096, 0, 2);
  }
}

// out[i, j] (+)= x row i . weight row j, i < m, j < r.
// A first pass over the weight comes from memory, later ones from L2. `apart`: weight rows from one
// of the r to the next.
template <class Step, int m, int r, Fetch fetch>
inline void dot_rows(const typename Step::W* w, int64_t w_pitch, int64_t apart,
                     const typename Step::X* x, int64_t x_pitch, int64_t k, float* out,
                     int64_t out_pitch, bool accumulate) {
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
      const typename Step::W* row = w + j * apart * w_pitch + at;
      // Not in a loop of its own: gcc drops a loop that only prefetches, which to it has no effect.
      if constexpr (fetch != Fetch::None)
        fetch_ahead<fetch, vector_bytes>(fetch == Fetch::Rows ? row + r * w_pitch : row);
      rows[j] = load_w(row);
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
      float* to = out + i * out_pitch + j * apart;
      *to = reduce_add(sums[i][j]) + (accumulate ? *to : 0.0f);
    }
  }
}

// Rows of one length that lie behind each other: r streams of them, kStreamsApart or a little more
// from one to the next.
template <class Step, int m>
void gemv_streams(const typename Step::W* w, int64_t w_rows, const typename Step::X* x,
                  int64_t x_pitch, int64_t k, float* out, int64_t out_pitch) {
  constexpr int r = rows_at_once(m);
  int64_t apart = kStreamsApart / (k * static_cast<int64_t>(sizeof(*w)) + 1) + 1;
  int64_t first = 0;
  for (int64_t run; (run = (w_rows - first) / r) > 0; first += run * r) {
    if (run > apart) run = apart;
    for (int64_t row = first; row < first + run; ++row) {
      dot_rows<Step, m, r, Fetch::Streams>(w + row * k, k, run, x, x_pitch, k, out + row, out_pitch,
                                           false);
    }
  }
  for (; first < w_rows; ++first) {
    dot_rows<Step, m, 1, Fetch::Streams>(w + first * k, k, 1, x, x_pitch, k, out + first, out_pitch,
                                         false);
  }
}

template <class Step, int m, bool from_memory>
void gemv_rows(const typename Step::W* w, int64_t w_pitch, int64_t w_rows,
               const typename Step::X* x, int64_t x_pitch, int64_t k, float* out,
               int64_t out_pitch) {
  constexpr int r = rows_at_once(m);
  constexpr Fetch fetch = from_memory ? Fetch::Rows : Fetch::None;
  constexpr int64_t most = kChunkBytes / (m * static_cast<int64_t>(sizeof(*x)));
  constexpr int64_t wanted = most > kMinChunkElements ? most : kMinChunkElements;
  int64_t chunks = (k + wanted - 1) / wanted;
  if constexpr (from_memory && m <= kMostStreamRows) {
    if (chunks <= 1 && w_pitch == k)
      return gemv_streams<Step, m>(w, w_rows, x, x_pitch, k, out, out_pitch);
  }
  int64_t chunk = chunks <= 1 ? k : (k / chunks + kGemvPadding) / kGemvPadding * kGemvPadding;
  for (int64_t first = 0; first < k || first == 0; first += chunk) {
    int64_t count = k - first < chunk ? k - first : chunk;
    int64_t row = 0;
    for (; row + r <= w_rows; row += r) {
      dot_rows<Step, m, r, fetch>(w + row * w_pitch + first, w_pitch, 1, x + first, x_pitch, count,
                                  out + row, out_pitch, first > 0);
    }
    for (; row < w_rows; ++row) {
      dot_rows<Step, m, 1, fetch>(w + row * w_pitch + first, w_pitch, 1, x + first, x_pitch, count,
                                  out + row, out_pitch, first > 0);
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
