#pragma once

#include <cstring>

#include "backends/cpu/isa.h"
#include "backends/cpu/simd/prefetch.h"
#include "backends/cpu/simd/vec.h"
#if defined(__aarch64__)
#include "backends/cpu/simd/square_neon.h"
#else
#include "backends/cpu/simd/square_x86.h"
#endif

// The register tile and the packing that f32 and bf16 products share. Unit says what 4 bytes of the
// k axis are:
//   static F multiply(F a, F b, F c): c + the products of one unit
//   static SquareRow load_square(from): kSquare units of a row
namespace tenon::cpu::TENON_ISA {

// Accumulators take 24 of 32 registers, or 12 of 16. Vectors of 4 lanes need more of them side by
// side, so that a row of x is read as seldom.
constexpr int kTileVectors = kLanes == 4 ? 4 : 2;
constexpr int kTileRows = kRegisters * 3 / 4 / kTileVectors;
constexpr int kTileColumns = kTileVectors * kLanes;

constexpr int64_t kUnitsOfFetch = 16;

inline void fetch_ahead(const TileFetch& fetch, int64_t unit) {
  int64_t offset = unit / kUnitsOfFetch * fetch.bytes;
  for (int64_t i = 0; i < fetch.count; ++i) {
    fetch_into_l2(static_cast<const char*>(fetch.rows[i]) + offset);
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

// Bytes ahead of the reads in each of the 8 rows.
constexpr int64_t kPackPrefetch = 512;

// The whole squares of kSquare rows; returns the elements of k that are done.
template <class Unit, class Element>
inline int64_t pack_squares(const Element* const* rows_from, int64_t elements, float* to) {
  constexpr int64_t step = kSquare * Unit::kElements;
  int64_t first = 0;
  for (; first + step <= elements; first += step, to += kSquare * kTileColumns) {
    SquareRow square[kSquare];
#pragma GCC unroll 8
    for (int r = 0; r < kSquare; ++r) {
      const Element* from = rows_from[r] + first;
      __builtin_prefetch(reinterpret_cast<const char*>(from) + kPackPrefetch, 0, 3);
      square[r] = Unit::load_square(from);
    }
    transpose(square);
#pragma GCC unroll 8
    for (int k = 0; k < kSquare; ++k) store_units(to + k * kTileColumns, square[k]);
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
        memset(to + k * kTileColumns + column, 0, kSquare * sizeof(float));
      }
      continue;
    }
    // Rows that do not exist repeat the last one: what they give is never looked at.
    const Element* from[kSquare];
    for (int r = 0; r < kSquare; ++r) {
      int64_t row = column + r < rows ? column + r : rows - 1;
      from[r] = static_cast<const Element*>(rows_from[row]);
    }
    int64_t done = pack_squares<Unit>(from, elements, to + column);
    if (done < elements) pack_tail<Unit>(from, elements, done, to + column);
  }
}

}  // namespace tenon::cpu::TENON_ISA
