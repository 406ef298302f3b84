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

static_assert(kTileColumns <= kMostTileColumns);
// A panel of B of 32 KiB, beside the rows of A that pass.
constexpr int64_t kUnitsAtOnce = kTileColumns <= 16 ? 512 : 256;

constexpr int64_t kUnitsOfFetch = 16;

inline void fetch_ahead(const TileFetch& fetch, int64_t unit) {
  int64_t offset = unit / kUnitsOfFetch * fetch.bytes;
  for (int64_t i = 0; i < fetch.count; ++i) {
    fetch_into_l2(static_cast<const char*>(fetch.rows[i]) + offset);
  }
}

// sums += the products of one unit: a row of B, and an element of each row of A.
template <class Unit, int m>
__attribute__((always_inline)) inline void add_unit(const float* a, const float* b,
                                                    F (&sums)[m][kTileVectors]) {
  F column[kTileVectors];
#pragma GCC unroll 4
  for (int j = 0; j < kTileVectors; ++j) column[j] = load(b + j * kLanes);
#pragma GCC unroll 16
  for (int i = 0; i < m; ++i) {
    F value = set(a[i * kTilePitch]);
#pragma GCC unroll 4
    for (int j = 0; j < kTileVectors; ++j) {
      sums[i][j] = Unit::multiply(value, column[j], sums[i][j]);
    }
  }
}

// `pitch` is that of B where it is a constant, so that addresses need no instructions of their own:
// they would take turns with the multiply-adds. 0: any.
template <class Unit, int m, int64_t pitch>
void tile_of_rows(int64_t units, const float* a, const float* b, int64_t b_pitch, float* c,
                  int64_t c_pitch, bool accumulate, const TileFetch& fetch) {
  if constexpr (pitch > 0) b_pitch = pitch;
  F sums[m][kTileVectors];
#pragma GCC unroll 16
  for (int i = 0; i < m; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kTileVectors; ++j) sums[i][j] = zero();
  }
  int64_t first = 0;
  for (; first + kUnitsOfFetch <= units; first += kUnitsOfFetch) {
    fetch_ahead(fetch, first);
#pragma GCC unroll 4
    for (int64_t k = 0; k < kUnitsOfFetch; ++k) add_unit<Unit>(a + k, b + k * b_pitch, sums);
    a += kUnitsOfFetch, b += kUnitsOfFetch * b_pitch;
  }
  if (first < units) fetch_ahead(fetch, first);
  for (; first < units; ++first, ++a, b += b_pitch) add_unit<Unit>(a, b, sums);
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
    auto run =
        b_pitch == kTileColumns ? tile_of_rows<Unit, m, kTileColumns> : tile_of_rows<Unit, m, 0>;
    run(units, static_cast<const float*>(a), static_cast<const float*>(b), b_pitch, c, c_pitch,
        accumulate, fetch);
  }
}

// Bytes ahead of the reads in each of the 8 rows.
constexpr int64_t kPackPrefetch = 512;

// The whole squares of kSquare rows from element `first` to `end`; returns the elements that are
// done.
template <class Unit, int columns, class Element>
inline int64_t pack_squares(const Element* const* rows_from, int64_t first, int64_t end,
                            float* to) {
  constexpr int64_t step = kSquare * Unit::kElements;
  to += first / Unit::kElements * columns;
  for (; first + step <= end; first += step, to += kSquare * columns) {
    SquareRow square[kSquare];
#pragma GCC unroll 8
    for (int r = 0; r < kSquare; ++r) {
      const Element* from = rows_from[r] + first;
      __builtin_prefetch(reinterpret_cast<const char*>(from) + kPackPrefetch, 0, 3);
      square[r] = Unit::load_square(from);
    }
    transpose(square);
#pragma GCC unroll 8
    for (int k = 0; k < kSquare; ++k) store_units(to + k * columns, square[k]);
  }
  return first;
}

// The elements from `first` on, fewer than a square has.
template <class Unit, int columns, class Element>
void pack_tail(const Element* const* rows_from, int64_t elements, int64_t first, float* to) {
  Element tails[kSquare][kSquare * Unit::kElements] = {};
  const Element* tails_from[kSquare];
  for (int r = 0; r < kSquare; ++r) {
    memcpy(tails[r], rows_from[r] + first, (elements - first) * sizeof(Element));
    tails_from[r] = tails[r];
  }
  float square[kSquare * columns];
  pack_squares<Unit, columns>(tails_from, 0, kSquare * Unit::kElements, square);
  int64_t units = (elements - first + Unit::kElements - 1) / Unit::kElements;
  to += first / Unit::kElements * columns;
  for (int64_t k = 0; k < units; ++k) {
    memcpy(to + k * columns, square + k * columns, kSquare * sizeof(float));
  }
}

template <class Unit, class Element, int columns = kTileColumns>
void pack_rows(const void* const* rows_from, int64_t rows, int64_t elements, float* to) {
  constexpr int kSquares = columns / kSquare;
  // Rows that do not exist repeat the last one: what they give is never looked at.
  const Element* from[kSquares][kSquare];
  for (int64_t row = 0; row < columns; ++row) {
    auto* start = static_cast<const Element*>(rows_from[row < rows ? row : rows - 1]);
    from[row / kSquare][row % kSquare] = start;
  }
  // All columns of a stretch before the next: its lines of `to` are in L1 until they are whole.
  constexpr int64_t kStretch = 64 * Unit::kElements;
  for (int64_t first = 0; first < elements; first += kStretch) {
    int64_t end = first + kStretch < elements ? first + kStretch : elements;
    for (int i = 0; i < kSquares; ++i) {
      float* column = to + i * kSquare;
      int64_t done = pack_squares<Unit, columns>(from[i], first, end, column);
      if (done < end) pack_tail<Unit, columns>(from[i], end, done, column);
    }
  }
}

// One f32; rows of any float type are expanded while they are packed.
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

template <int columns>
void pack_floats(DType dtype, const void* const* rows_from, int64_t rows, int64_t elements,
                 float* to) {
  if (dtype == DType::F32) return pack_rows<FromF32, float, columns>(rows_from, rows, elements, to);
  if (dtype == DType::BF16)
    return pack_rows<FromBf16, uint16_t, columns>(rows_from, rows, elements, to);
  pack_rows<FromF16, uint16_t, columns>(rows_from, rows, elements, to);
}

}  // namespace tenon::cpu::TENON_ISA
