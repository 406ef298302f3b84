#pragma once

#include "backends/cpu/isa.h"
#include "backends/cpu/simd/vec.h"

// The register tile and the packing that f32 and bf16 products share. Unit says what 4 bytes of the
// k axis are:
//   static F multiply(F a, F b, F c): c + the products of one unit
//   static F load_units(dtype, row, first, count): kLanes units of a row, zero beyond `count`
namespace tenon::cpu::TENON_ISA {

// Zen and Intel cores have 32 registers with AVX-512 and 16 without: accumulators take 24 or 12.
#if defined(__AVX512F__)
constexpr int kTileRows = 12;
#else
constexpr int kTileRows = 6;
#endif
constexpr int kTileVectors = 2;
constexpr int kTileColumns = kTileVectors * kLanes;

template <class Unit, int m>
void tile_of_rows(int64_t units, const float* a, const float* b, int64_t b_pitch, float* c,
                  int64_t c_pitch, bool accumulate) {
  F sums[m][kTileVectors];
#pragma GCC unroll 16
  for (int i = 0; i < m; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kTileVectors; ++j) sums[i][j] = zero();
  }
  for (int64_t k = 0; k < units; ++k, b += b_pitch) {
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
              int64_t c_pitch, bool accumulate) {
  if constexpr (m > 0) {
    if (rows < m) return run_tile<Unit, m - 1>(rows, units, a, b, b_pitch, c, c_pitch, accumulate);
    tile_of_rows<Unit, m>(units, static_cast<const float*>(a), static_cast<const float*>(b),
                          b_pitch, c, c_pitch, accumulate);
  }
}

// Up to kLanes rows, all units: each square of kLanes x kLanes units is transposed in registers.
template <class Unit, class Format>
void pack_lanes(const void* const* rows_from, int64_t rows, int64_t elements, float* to) {
  using Element = typename Format::Element;
  for (int64_t first = 0; first < elements; first += kLanes * Unit::kElements) {
    int64_t left = elements - first;
    F square[kLanes];
#pragma GCC unroll 16
    for (int r = 0; r < kLanes; ++r) {
      square[r] = r < rows ? Unit::template load_units<Format>(
                                 static_cast<const Element*>(rows_from[r]) + first, left)
                           : zero();
    }
    transpose(square);
    int64_t units = (left + Unit::kElements - 1) / Unit::kElements;
    if (units >= kLanes) {
#pragma GCC unroll 16
      for (int k = 0; k < kLanes; ++k) store(to + k * kTileColumns, square[k]);
    } else {
      for (int k = 0; k < units; ++k) store(to + k * kTileColumns, square[k]);
    }
    to += kLanes * kTileColumns;
  }
}

template <class Unit>
void pack_b(DType dtype, const void* const* rows_from, int64_t rows, int64_t elements, void* to) {
  Unit::with_weights(dtype, [&]<class Format>(Format) {
    for (int j = 0; j < kTileVectors; ++j) {
      int64_t first = j * kLanes;
      // A start beyond the last row is formed but not read.
      pack_lanes<Unit, Format>(rows_from + (first < rows ? first : 0), rows - first, elements,
                               static_cast<float*>(to) + first);
    }
  });
}

}  // namespace tenon::cpu::TENON_ISA
