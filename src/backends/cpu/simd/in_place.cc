#include "backends/cpu/simd/gemm_tile.h"

namespace tenon::cpu::TENON_ISA {
namespace {

// Accumulators of a tile, shared out as weight rows times vectors of columns.
constexpr int kSums = kRegisters * 3 / 4;
// Wider tiles load less for each multiply-add. With 16 registers 4 x 3 vectors are the widest.
constexpr int kMostVectors = kRegisters == 32 ? 4 : 3;

// What one tile fetches for every kUnitsOfFetch units: parts of weight rows, and lines of x.
struct InPlaceFetch {
  TileFetch weight;
  const char* x = nullptr;
  int64_t x_lines = 0;
};

// sums += the products of one unit.
template <int m, int v>
__attribute__((always_inline)) inline void add_in_place(const float* const (&w)[m], int64_t k,
                                                        const float* x, F (&sums)[m][v]) {
  F column[v];
#pragma GCC unroll 4
  for (int j = 0; j < v; ++j) column[j] = load(x + j * kLanes);
#pragma GCC unroll 16
  for (int i = 0; i < m; ++i) {
    F value = set(w[i][k]);
#pragma GCC unroll 4
    for (int j = 0; j < v; ++j) sums[i][j] = fma(value, column[j], sums[i][j]);
  }
}

template <int m, int v>
void tile_in_place(int64_t units, const float* const* rows, const float* x, float* c,
                   bool accumulate, const InPlaceFetch& fetch) {
  constexpr int columns = v * kLanes;
  F sums[m][v];
  const float* w[m];
#pragma GCC unroll 16
  for (int i = 0; i < m; ++i) {
    w[i] = rows[i];
#pragma GCC unroll 4
    for (int j = 0; j < v; ++j) sums[i][j] = zero();
  }
  const char* x_lines = fetch.x;
  int64_t k = 0;
  for (; k + kUnitsOfFetch <= units; k += kUnitsOfFetch) {
    fetch_ahead(fetch.weight, k);
    for (int64_t i = 0; i < fetch.x_lines; ++i, x_lines += 64) fetch_into_l2(x_lines);
    for (int64_t part = k; part < k + kUnitsOfFetch; part += 4, x += 4 * columns) {
#pragma GCC unroll 4
      for (int64_t i = 0; i < 4; ++i) add_in_place<m, v>(w, part + i, x + i * columns, sums);
    }
  }
  if (k < units) fetch_ahead(fetch.weight, k);
  for (; k < units; ++k, x += columns) add_in_place<m, v>(w, k, x, sums);
#pragma GCC unroll 16
  for (int i = 0; i < m; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < v; ++j) {
      float* to = c + i * columns + j * kLanes;
      store(to, accumulate ? add(load(to), sums[i][j]) : sums[i][j]);
    }
  }
}

// The tile of `rows` weight rows, fewer than the most a width has at the end of a weight.
template <int v, int m = kSums / v>
void run_in_place(int rows, int64_t units, const float* const* w, const float* x, float* c,
                  bool accumulate, const InPlaceFetch& fetch) {
  if constexpr (m > 0) {
    if (rows < m) return run_in_place<v, m - 1>(rows, units, w, x, c, accumulate, fetch);
    tile_in_place<m, v>(units, w, x, c, accumulate, fetch);
  }
}

template <int v>
void multiply_width(const InPlacePanel& panel) {
  constexpr int64_t kRows = kSums / v < 12 ? kSums / v : 12;
  int64_t tiles = (panel.rows + kRows - 1) / kRows;
  // Of the next panel every tile fetches an equal part, from its beginning on.
  int64_t lines = (kUnitsOfFetch * v * kLanes * 4 / 64 + tiles - 1) / tiles;
  int64_t stretch = panel.units / kUnitsOfFetch * lines * 64;
  for (int64_t tile = 0; tile < tiles; ++tile) {
    int64_t row = panel.rows * tile / tiles, end = panel.rows * (tile + 1) / tiles;
    int64_t first = panel.fetch.count * tile / tiles, last = panel.fetch.count * (tile + 1) / tiles;
    InPlaceFetch fetch = {
        .weight = {panel.fetch.rows + first, last - first, panel.fetch.bytes},
        .x = static_cast<const char*>(panel.next_x) + tile * stretch,
        .x_lines = panel.next_x && tile * stretch < panel.next_x_bytes ? lines : 0};
    run_in_place<v, kRows>(static_cast<int>(end - row), panel.units, panel.w + row, panel.x,
                           panel.c + row * v * kLanes, panel.accumulate, fetch);
  }
}

template <int v = kMostVectors>
void multiply(const InPlacePanel& panel) {
  if constexpr (v > 0) {
    if (panel.vectors < v) return multiply<v - 1>(panel);
    multiply_width<v>(panel);
  }
}

template <int v = kMostVectors>
void pack_x(DType dtype, const void* const* rows_from, int64_t rows, int vectors, int64_t elements,
            float* to) {
  if constexpr (v > 0) {
    if (vectors < v) return pack_x<v - 1>(dtype, rows_from, rows, vectors, elements, to);
    pack_floats<v * kLanes>(dtype, rows_from, rows, elements, to);
  }
}

void turn(const float* c, int64_t c_pitch, int64_t rows, float* to, int64_t to_pitch) {
  for (int64_t row = 0; row < rows; row += kSquare) {
    SquareRow square[kSquare];
#pragma GCC unroll 8
    for (int i = 0; i < kSquare; ++i) square[i] = load_units(c + (row + i) * c_pitch);
    transpose(square);
#pragma GCC unroll 8
    for (int i = 0; i < kSquare; ++i) store_units(to + i * to_pitch + row, square[i]);
  }
}

}  // namespace

const InPlaceKernels kInPlace = {
    .lanes = kLanes,
    .most_vectors = kMostVectors,
    .square = kSquare,
    .pack_x = pack_x,
    .multiply = multiply,
    .turn = turn,
};

}  // namespace tenon::cpu::TENON_ISA
