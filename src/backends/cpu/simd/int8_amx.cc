#include "backends/cpu/isa.h"
#include "backends/cpu/simd/matrix_tiles.h"
#include "backends/cpu/simd/vec.h"

// Products of rows of int8 codes with panels, in tiles of 32 x 32. The integers, and the order in
// which sums of groups are added in f32, are those of int8.cc: so the results are the same bits.
namespace tenon::cpu::TENON_ISA {
namespace {

constexpr int kPanel = 32;
constexpr int64_t kUnitBytes = kPanel * 4;

inline F scales_at(const PanelScales& scales, int64_t index) {
  if (scales.half) return load_f16(static_cast<const uint16_t*>(scales.scales) + index);
  return load(static_cast<const float*>(scales.scales) + index);
}

// One step of 64 inputs (or what the shapes say): unsigned codes of 8 bits.
template <bool two>
inline void multiply(const char* a, const char* b) {
  _tile_loadd(6, b, kUnitBytes);
  _tile_loadd(4, a, kInt8Pitch);
  _tile_loadd(7, b + kTileBytes, kUnitBytes);
  _tile_dpbsud(0, 4, 6);
  _tile_dpbsud(1, 4, 7);
  if constexpr (two) {
    _tile_loadd(5, a + kHalf * kInt8Pitch, kInt8Pitch);
    _tile_dpbsud(2, 5, 6);
    _tile_dpbsud(3, 5, 7);
  }
}

inline void fetch_ahead(const char*& at, int64_t lines) {
  for (int64_t i = 0; i < lines; ++i, at += 64) asm volatile("prefetcht1 %0" : : "m"(*at));
}

// The integers of up to 32 rows from `row` on and `inputs` inputs from `first` on, into c.
template <bool two>
void add_products(const Int8Tile& tile, int row, int64_t first, int64_t inputs, int64_t step,
                  const char*& fetch) {
  TileSums sums = {tile.c + row * tile.c_pitch, tile.c_pitch * 4};
  auto* a = reinterpret_cast<const char*>(tile.x + tile.x_first + row * kInt8Pitch + first);
  auto* b = reinterpret_cast<const char*>(tile.codes + first * kPanel);
  if (tile.resume || first > 0) {
    load_sums<two>(sums);
  } else {
    clear_sums<two>();
  }
  for (const char* end = a + inputs; a < end; a += step, b += step * kPanel) {
    fetch_ahead(fetch, 2 * tile.fetch_lines);
    multiply<two>(a, b);
  }
  store_sums<two>(sums);
}

void add_rows(const Int8Tile& tile, int row, int rows, int64_t first, int64_t inputs, int64_t step,
              const char*& fetch) {
  if (rows > kHalf) return add_products<true>(tile, row, first, inputs, step, fetch);
  add_products<false>(tile, row, first, inputs, step, fetch);
}

// A single group, or a part of its inputs. Shapes are set once for all whole tiles.
void run_ungrouped(const Int8Tile& tile) {
  int64_t inputs = tile.scales.units * 4, rest = inputs % kTileBytes, whole = inputs - rest;
  int full = tile.rows / kMatrixRows * kMatrixRows, last = tile.rows - full;
  auto* fetch = static_cast<const char*>(tile.fetch);
  for (int part = 0; part < 2; ++part) {
    int64_t first = part == 0 ? 0 : whole, count = part == 0 ? whole : rest;
    if (count == 0) continue;
    int64_t step = part == 0 ? kTileBytes : rest;
    if (full > 0) {
      TileScope scope(kMatrixRows, step);
      for (int row = 0; row < full; row += kMatrixRows) {
        add_rows(tile, row, kMatrixRows, first, count, step, fetch);
      }
    }
    if (last > 0) {
      TileScope scope(last, step);
      add_rows(tile, full, last, first, count, step, fetch);
    }
  }
}

// Integers of a whole row become numbers where they lie.
void scale_sums(const Int8Tile& tile) {
  for (int part = 0; part < kPanel; part += kLanes) {
    F scale = scales_at(tile.scales, part);
    __m512i zeros = _mm512_setzero_si512();
    if (tile.scales.zeros) {
      auto* from = reinterpret_cast<const __m128i*>(tile.scales.zeros + part);
      zeros = _mm512_cvtepu8_epi32(_mm_loadu_si128(from));
    }
    for (int row = 0; row < tile.rows; ++row) {
      float* at = tile.c + row * tile.c_pitch + part;
      __m512i offset = _mm512_set1_epi32(tile.offsets[row * tile.offsets_pitch]);
      if (tile.scales.zeros) offset = _mm512_mullo_epi32(zeros, offset);
      __m512i sum = _mm512_add_epi32(_mm512_loadu_si512(at), offset);
      store(at, mul(mul(_mm512_cvtepi32_ps(sum), scale), set(tile.x_scales[row])));
    }
  }
}

// Sums or totals of 16 rows x 16 columns, as they come out of a tile.
template <class Element>
struct alignas(64) Quarter {
  Element values[kHalf][kLanes];
};

// Groups whose sums wait in L1 until they become numbers: loads that follow the stores of a tile
// closely would hold up everything, and so two by two tiles can share what they load.
constexpr int64_t kWaiting = 4;

// What a tile of 32 x 32 works on: quarters are (rows 0 to 15, columns 0 to 15), (.., columns 16 to
// 31), (rows 16 to 31, ..).
struct GroupWork {
  Quarter<int32_t> sums[kWaiting][4] = {};
  Quarter<float> totals[4];
};

// `steps` times `step` bytes are a group.
struct GroupWalk {
  const char *a, *b;
  int64_t step, steps;
};

template <bool two>
inline void multiply_group(GroupWalk& at, Quarter<int32_t> (&sums)[4]) {
  clear_sums<two>();
  for (int64_t i = 0; i < at.steps; ++i, at.a += at.step, at.b += at.step * kPanel) {
    _tile_loadd(6, at.b, kUnitBytes);
    _tile_loadd(4, at.a, kInt8Pitch);
    _tile_loadd(7, at.b + kTileBytes, kUnitBytes);
    _tile_dpbssd(0, 4, 6);
    _tile_dpbssd(1, 4, 7);
    if constexpr (two) {
      _tile_loadd(5, at.a + kHalf * kInt8Pitch, kInt8Pitch);
      _tile_dpbssd(2, 5, 6);
      _tile_dpbssd(3, 5, 7);
    }
  }
  _tile_stored(0, sums[0].values, kTileBytes);
  _tile_stored(1, sums[1].values, kTileBytes);
  if constexpr (two) {
    _tile_stored(2, sums[2].values, kTileBytes);
    _tile_stored(3, sums[3].values, kTileBytes);
  }
}

// totals += sums times scales, group by group from `first` on.
void add_scaled(const PanelScales& scales, int64_t first, int64_t groups, int quarter,
                GroupWork& work) {
  F totals[kHalf];
#pragma GCC unroll 16
  for (int i = 0; i < kHalf; ++i) totals[i] = load(work.totals[quarter].values[i]);
  for (int64_t group = 0; group < groups; ++group) {
    F scale = scales_at(scales, (first + group) * kPanel + quarter % 2 * kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < kHalf; ++i) {
      auto* sums = work.sums[group][quarter].values[i];
      totals[i] = fma(_mm512_cvtepi32_ps(_mm512_load_si512(sums)), scale, totals[i]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kHalf; ++i) store(work.totals[quarter].values[i], totals[i]);
}

template <bool two>
void multiply_groups(const PanelScales& scales, GroupWalk at, GroupWork& work) {
  constexpr int kQuarters = two ? 4 : 2;
  for (int quarter = 0; quarter < kQuarters; ++quarter) work.totals[quarter] = {};
  for (int64_t first = 0; first < scales.groups; first += kWaiting) {
    int64_t groups = scales.groups - first < kWaiting ? scales.groups - first : kWaiting;
    for (int64_t group = 0; group < groups; ++group) multiply_group<two>(at, work.sums[group]);
    for (int quarter = 0; quarter < kQuarters; ++quarter) {
      add_scaled(scales, first, groups, quarter, work);
    }
  }
}

void put_rows(const Int8Tile& tile, int row, int rows, const GroupWork& work) {
  for (int i = 0; i < rows; ++i) {
    F scale = set(tile.x_scales[row + i]);
    for (int part = 0; part < kPanel / kLanes; ++part) {
      float* to = tile.c + (row + i) * tile.c_pitch + part * kLanes;
      F total = load(work.totals[i / kHalf * 2 + part].values[i % kHalf]);
      store(to, tile.accumulate ? fma(total, scale, load(to)) : mul(total, scale));
    }
  }
}

// Codes are signed, their zeros taken off by `unpack_signed`.
void run_grouped(const Int8Tile& tile) {
  int64_t bytes = tile.scales.units * 4, step = bytes % kTileBytes == 0 ? kTileBytes : 32;
  GroupWork work;
  auto* fetch = static_cast<const char*>(tile.fetch);
  int64_t lines = tile.fetch_lines * tile.scales.groups * tile.scales.units / 8;
  auto run_rows = [&](int row, int rows) {
    auto* a = reinterpret_cast<const char*>(tile.x + tile.x_first + row * kInt8Pitch);
    GroupWalk at = {a, reinterpret_cast<const char*>(tile.codes), step, bytes / step};
    fetch_ahead(fetch, lines);
    if (rows > kHalf) {
      multiply_groups<true>(tile.scales, at, work);
    } else {
      multiply_groups<false>(tile.scales, at, work);
    }
    put_rows(tile, row, rows, work);
  };
  int full = tile.rows / kMatrixRows * kMatrixRows;
  if (full > 0) {
    TileScope scope(kMatrixRows, step);
    for (int row = 0; row < full; row += kMatrixRows) run_rows(row, kMatrixRows);
  }
  if (full < tile.rows) {
    TileScope scope(tile.rows - full, step);
    run_rows(full, tile.rows - full);
  }
}

void run_tiles(const Int8Tile& tile) {
  if (tile.signed_codes) return run_grouped(tile);
  run_ungrouped(tile);
  if (!tile.suspend) scale_sums(tile);
}

// 32 columns of one unit: bytes less the zeros of their columns.
void unpack_signed(const uint8_t* codes, const PanelScales& scales, int8_t* to) {
  __m512i mask = _mm512_set1_epi8(15),
          spread = _mm512_setr_epi32(0x00000000, 0x01010101, 0x02020202, 0x03030303, 0x04040404,
                                     0x05050505, 0x06060606, 0x07070707, 0x08080808, 0x09090909,
                                     0x0A0A0A0A, 0x0B0B0B0B, 0x0C0C0C0C, 0x0D0D0D0D, 0x0E0E0E0E,
                                     0x0F0F0F0F);
  __m512i zeros[2];
  zeros[0] = zeros[1] = _mm512_set1_epi8(static_cast<char>(scales.middle));
  for (int64_t group = 0; group < scales.groups; ++group) {
    for (int half = 0; half < 2 && scales.zeros; ++half) {
      auto* from = reinterpret_cast<const __m128i*>(scales.zeros + group * kPanel + half * kLanes);
      __m512i all = _mm512_broadcast_i32x4(_mm_loadu_si128(from));
      zeros[half] = _mm512_shuffle_epi8(all, spread);
    }
    for (int64_t pair = 0; pair < scales.units / 2; ++pair, codes += kUnitBytes) {
      for (int half = 0; half < 2; ++half, to += kTileBytes) {
        __m512i both = _mm512_loadu_si512(codes + half * kTileBytes);
        __m512i low = _mm512_and_si512(both, mask);
        __m512i high = _mm512_and_si512(_mm512_srli_epi16(both, 4), mask);
        _mm512_store_si512(to, _mm512_sub_epi8(low, zeros[half]));
        _mm512_store_si512(to + kUnitBytes, _mm512_sub_epi8(high, zeros[half]));
      }
      to += kUnitBytes;
    }
  }
}

}  // namespace

const Int8MatrixKernels kInt8Matrix = {.unpack_signed = unpack_signed, .tiles = run_tiles};

}  // namespace tenon::cpu::TENON_ISA
