#pragma once

#include <cstring>

#include "backends/cpu/isa.h"
#include "backends/cpu/simd/vec.h"

// The register tile and the packing that f32 and bf16 products share. Unit says what 4 bytes of the
// k axis are:
//   static F multiply(F a, F b, F c): c + the products of one unit
//   static __m256 load_square(from): 8 units of a row
namespace tenon::cpu::TENON_ISA {

// Zen and Intel cores have 32 registers with AVX-512 and 16 without: accumulators take 24 or 12.
#if defined(__AVX512F__)
constexpr int kTileRows = 12;
#else
constexpr int kTileRows = 6;
#endif
constexpr int kTileVectors = 2;
constexpr int kTileColumns = kTileVectors * kLanes;

constexpr int64_t kUnitsOfFetch = 16;

inline void fetch_ahead(const TileFetch& fetch, int64_t unit) {
  int64_t offset = unit / kUnitsOfFetch * fetch.bytes;
  for (int64_t i = 0; i < fetch.count; ++i) {
    // Not __builtin_prefetch: gcc drops a loop of it, which to it has no effect.
    asm volatile("prefetcht1 %0" : : "m"(static_cast<const char*>(fetch.rows[i])[offset]));
  }
}

template <class Unit, int m>
void tile_of_rows(int64_t units, const float* a, const float* b, int64_t b_pitch, float* c,
                  int64_t c_pitch, bool accumulate, const TileFetch& fetch) {
  F sums[m][kTileVectors];
#pragma GCC unroll 16
  for (int i = 0; i < m; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kTileVectors; ++j) sums[i][j] = zero();
  }
  for (int64_t first = 0; first < units; first += kUnitsOfFetch) {
    fetch_ahead(fetch, first);
    int64_t end = first + kUnitsOfFetch < units ? first + kUnitsOfFetch : units;
    for (int64_t k = first; k < end; ++k, b += b_pitch) {
      F column[kTileVectors];
#pragma GCC unroll 4
      for (int j = 0; j < kTileVectors; ++j) column[j] = load(b + j * kLanes);
#pragma GCC unroll 16
      for (int i = 0; i < m; ++i) {
        F value = set(a[i * kTilePitch + k]);
#pragma GCC unroll 4
        for (int j = 0; j < kTileVectors; ++j) {
          sums[i][j] = Unit::multiply(value, column[j], sums[i][j]);
        }
      }
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < m; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kTileVectors; ++j) {
      float* to = c + i * c_pitch + j * kLanes;
      store(to, accumulate ? add(load(to), sums[i][j]) : sums[i][j]);
    }
  }
}

template <class Unit, int m = kTileRows>
void run_tile(int rows, int64_t units, const void* a, const void* b, int64_t b_pitch, float* c,
              int64_t c_pitch, bool accumulate, const TileFetch& fetch) {
  if constexpr (m > 0) {
    if (rows < m)
      return run_tile<Unit, m - 1>(rows, units, a, b, b_pitch, c, c_pitch, accumulate, fetch);
    tile_of_rows<Unit, m>(units, static_cast<const float*>(a), static_cast<const float*>(b),
                          b_pitch, c, c_pitch, accumulate, fetch);
  }
}

// Packing transposes squares of 8 x 8 units, with AVX-512 too: its 512-bit shuffles take twice the
// cycles for each number.
constexpr int kSquare = 8;
// Bytes ahead of the reads in each of the 8 rows.
constexpr int64_t kPackPrefetch = 512;

// Rows become columns: out[i] lane j = in[j] lane i.
inline void transpose(__m256 (&v)[kSquare]) {
  __m256 t[kSquare];
#pragma GCC unroll 4
  for (int i = 0; i < kSquare; i += 2) {
    t[i] = _mm256_unpacklo_ps(v[i], v[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(v[i], v[i + 1]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < kSquare; i += 4) {
    v[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
    v[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xEE);
    v[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    v[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xEE);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm256_permute2f128_ps(v[i], v[i + 4], 0x20);
    t[i + 4] = _mm256_permute2f128_ps(v[i], v[i + 4], 0x31);
  }
#pragma GCC unroll 8
  for (int i = 0; i < kSquare; ++i) v[i] = t[i];
}

// The whole squares of 8 rows; returns the elements of k that are done.
template <class Unit, class Element>
inline int64_t pack_squares(const Element* const* rows_from, int64_t elements, float* to) {
  constexpr int64_t step = kSquare * Unit::kElements;
  int64_t first = 0;
  for (; first + step <= elements; first += step, to += kSquare * kTileColumns) {
    __m256 square[kSquare];
#pragma GCC unroll 8
    for (int r = 0; r < kSquare; ++r) {
      const Element* from = rows_from[r] + first;
      __builtin_prefetch(reinterpret_cast<const char*>(from) + kPackPrefetch, 0, 3);
      square[r] = Unit::load_square(from);
    }
    transpose(square);
#pragma GCC unroll 8
    for (int k = 0; k < kSquare; ++k) _mm256_storeu_ps(to + k * kTileColumns, square[k]);
  }
  return first;
}

// The elements from `first` on, fewer than a square has.
template <class Unit, class Element>
void pack_tail(const Element* const* rows_from, int64_t elements, int64_t first, float* to) {
  Element tails[kSquare][kSquare * Unit::kElements] = {};
  const Element* tails_from[kSquare];
  for (int r = 0; r < kSquare; ++r) {
    memcpy(tails[r], rows_from[r] + first, (elements - first) * sizeof(Element));
    tails_from[r] = tails[r];
  }
  float square[kSquare * kTileColumns];
  pack_squares<Unit>(tails_from, kSquare * Unit::kElements, square);
  int64_t units = (elements - first + Unit::kElements - 1) / Unit::kElements;
  to += first / Unit::kElements * kTileColumns;
  for (int64_t k = 0; k < units; ++k) {
    memcpy(to + k * kTileColumns, square + k * kTileColumns, kSquare * sizeof(float));
  }
}

template <class Unit, class Element>
void pack_rows(const void* const* rows_from, int64_t rows, int64_t elements, float* to) {
  int64_t units = (elements + Unit::kElements - 1) / Unit::kElements;
  for (int64_t column = 0; column < kTileColumns; column += kSquare) {
    if (column >= rows) {
      for (int64_t k = 0; k < units; ++k) {
        _mm256_storeu_ps(to + k * kTileColumns + column, _mm256_setzero_ps());
      }
      continue;
    }
    // Rows that do not exist repeat the last one: what they give is never looked at.
    const Element* eight[kSquare];
    for (int r = 0; r < kSquare; ++r) {
      int64_t row = column + r < rows ? column + r : rows - 1;
      eight[r] = static_cast<const Element*>(rows_from[row]);
    }
    int64_t done = pack_squares<Unit>(eight, elements, to + column);
    if (done < elements) pack_tail<Unit>(eight, elements, done, to + column);
  }
}

}  // namespace tenon::cpu::TENON_ISA
