#include "backends/cpu/simd/int8_stream.h"

// Products of rows of int8 codes with panels of unsigned codes (tensor/formats/quantised_weight.h).
namespace tenon::cpu::TENON_ISA {
namespace {

// Of a stream from memory each line is asked for three times, at three distances: a core drops a
// prefetch when its queue of misses is full.
inline void fetch_ahead(const char*& at, int64_t lines, bool streams) {
  for (int64_t i = 0; i < lines; ++i, at += 64) {
    fetch_into_l2(at);
    if (!streams) continue;
    fetch_into_l2(at - kStreamAhead / 2);
    fetch_into_l1(at - kStreamAhead * 3 / 4);
  }
}

// What a call moves along as it goes through the inputs.
struct Walk {
  const int8_t* x;
  int64_t left;  // inputs of the block
  const uint8_t* codes;
  const char* fetch;
  int64_t lines;
};

// 8 units.
template <int m, bool packed>
__attribute__((always_inline)) inline void add_step(const Int8Tile& tile, Walk& walk,
                                                    I (&sums)[m][kVectors]) {
  fetch_ahead(walk.fetch, walk.lines, tile.streams);
  add_units<m, packed, kInt8Pitch, kUnitBytes>(walk.x, walk.codes, sums);
  walk.x += 32;
  walk.codes += packed ? 4 * kUnitBytes : 8 * kUnitBytes;
}

// How a tile's inputs are grouped. In the shortest groups, of 8 units, whatever a loop needs is a
// part of the time: they have none.
enum class Groups { One, Several, Shortest };

// The products of one group, as integers.
template <int m, bool packed, Groups kind>
__attribute__((always_inline)) inline void add_group(const Int8Tile& tile, Walk& walk,
                                                     I (&sums)[m][kVectors]) {
  to_blocks(sums);
  for (int64_t unit = 0; unit < tile.scales.units;) {
    if (walk.left == 0) {
      walk.x += tile.x_block - kInt8Block;
      walk.left = kInt8Block;
    }
    if constexpr (kind == Groups::Shortest) {
      walk.left -= 32;
      add_step<m, packed>(tile, walk, sums);
      break;
    }
    int64_t rest = walk.left / 4, wanted = tile.scales.units - unit;
    int64_t units = rest < wanted ? rest : wanted;
    unit += units;
    walk.left -= units * 4;
    for (; units > 0; units -= 8) add_step<m, packed>(tile, walk, sums);
  }
  from_blocks(sums);
}

// fma is spelled out: left to the compiler, it would differ from file to file.
inline void put(const Int8Tile& tile, int row, int column, F total, F scale) {
  float* to = tile.c + row * tile.c_pitch + column;
  store(to, tile.accumulate ? fma(total, scale, load(to)) : mul(total, scale));
}

template <int m, bool from_memory>
inline void move_sums(const Int8Tile& tile, int column, I (&sums)[m][kVectors]) {
#pragma GCC unroll 12
  for (int i = 0; i < m; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < kVectors; ++j) {
      auto* at = reinterpret_cast<I*>(tile.c + i * tile.c_pitch + column + j * kLanes);
      if constexpr (from_memory) {
        __builtin_memcpy(&sums[i][j], at, sizeof(I));
      } else {
        __builtin_memcpy(at, &sums[i][j], sizeof(I));
      }
    }
  }
}

// Several groups keep totals in f32 beside the sums; of a single one they would only take
// registers.
template <int m, bool packed, Groups kind>
void tile_of_rows(const Int8Tile& tile, int part) {
  Walk walk = {tile.x + tile.x_first, kInt8Block - tile.x_first, tile.codes + part * kPart * 4,
               static_cast<const char*>(tile.fetch), part == 0 ? tile.fetch_lines : 0};
  int column = part * kPart;
  I sums[m][kVectors];
  if constexpr (kind == Groups::One) {
    if (tile.resume) {
      move_sums<m, true>(tile, column, sums);
    } else {
      begin_group<m, packed>(tile, tile.scales.zeros, 0, part, sums);
    }
    add_group<m, packed, kind>(tile, walk, sums);
    if (tile.suspend) return move_sums<m, false>(tile, column, sums);
#pragma GCC unroll 2
    for (int j = 0; j < kVectors; ++j) {
      F scale = scales_at(tile.scales, column + j * kLanes);
#pragma GCC unroll 12
      for (int i = 0; i < m; ++i)
        put(tile, i, column + j * kLanes, mul(to_floats(sums[i][j]), scale), set(tile.x_scales[i]));
    }
  } else {
    F totals[m][kVectors];
#pragma GCC unroll 12
    for (int i = 0; i < m; ++i) totals[i][0] = totals[i][1] = zero();
    for (int64_t group = 0; group < tile.scales.groups; ++group) {
      begin_group<m, packed>(tile, tile.scales.zeros, group, part, sums);
      add_group<m, packed, kind>(tile, walk, sums);
#pragma GCC unroll 2
      for (int j = 0; j < kVectors; ++j) {
        F scale = scales_at(tile.scales, group * kPanel + column + j * kLanes);
#pragma GCC unroll 12
        for (int i = 0; i < m; ++i) totals[i][j] = fma(to_floats(sums[i][j]), scale, totals[i][j]);
      }
    }
#pragma GCC unroll 12
    for (int i = 0; i < m; ++i) {
      F scale = set(tile.x_scales[i]);
      put(tile, i, column, totals[i][0], scale);
      put(tile, i, column + kLanes, totals[i][1], scale);
    }
  }
}

template <bool packed, Groups kind, int m>
void run_rows(const Int8Tile& tile, int part) {
  if constexpr (m > 0) {
    if (tile.rows < m) return run_rows<packed, kind, m - 1>(tile, part);
    tile_of_rows<m, packed, kind>(tile, part);
  }
}

template <bool packed>
void run_part(const Int8Tile& tile, int part) {
  if (tile.scales.groups == 1) return run_rows<packed, Groups::One, kMostRows>(tile, part);
  for (int first = 0; first < tile.rows; first += kMostGrouped) {
    Int8Tile rows = tile;
    rows.rows = tile.rows - first < kMostGrouped ? tile.rows - first : kMostGrouped;
    rows.x += first * kInt8Pitch;
    rows.x_scales += first;
    rows.offsets += first * tile.offsets_pitch;
    rows.c += first * tile.c_pitch;
    if (first > 0) rows.fetch_lines = 0;
    if (tile.scales.units == 8) {
      run_rows<packed, Groups::Shortest, kMostGrouped>(rows, part);
    } else {
      run_rows<packed, Groups::Several, kMostGrouped>(rows, part);
    }
  }
}

void run_tile(const Int8Tile& tile) {
  for (int part = 0; part < kPanel / kPart; ++part) {
    if (tile.packed) {
      run_part<true>(tile, part);
    } else {
      run_part<false>(tile, part);
    }
  }
}

template <int m>
void run_streams(const Int8Tile& tile, int64_t panels) {
  if (tile.packed) {
    stream_panels<m, true>(tile, panels);
  } else {
    stream_panels<m, false>(tile, panels);
  }
}

void run_stream(const Int8Tile& tile, int64_t panels) {
  if (tile.rows == 1) return run_streams<1>(tile, panels);
  if (tile.rows == 2) return run_streams<2>(tile, panels);
  Int8Tile one = tile;
  int64_t scales = tile.scales.groups * kPanel;
  int64_t codes = scales * tile.scales.units * (tile.packed ? 2 : 4);
  one.streams = true;
  one.fetch_lines = (tile.packed ? 4 : 8) * kUnitBytes / 64;
  for (int64_t panel = 0; panel < panels; ++panel) {
    one.fetch = one.codes + kStreamAhead;
    run_tile(one);
    one.codes += codes;
    one.scales = scales_behind(one.scales, scales);
    one.c += kPanel;
  }
}

void unpack(const uint8_t* codes, int64_t units, uint8_t* to) {
  for (int64_t pair = 0; pair < units / 2; ++pair, codes += kUnitBytes, to += 2 * kUnitBytes) {
    for (int64_t i = 0; i < kUnitBytes; i += 32) split32(codes + i, to + i, to + kUnitBytes + i);
  }
}

float scale_row(const float* x, int64_t inputs, float* inverse) {
  // x - x is NaN where x is not finite.
  F most = zero(), nan = zero();
  for (int64_t i = 0; i < inputs; i += kLanes) {
    F value = load(x + i);
    most = max(most, abs(value));
    nan = add(nan, sub(value, value));
  }
  float largest = reduce_max(most), scale = largest / 127.0f + reduce_add(nan);
  bool is_zero = largest < 0x1p-100f;  // ops::kLeastRowMaximum
  *inverse = is_zero ? 0.0f : 127.0f / largest;
  return scale;
}

void round_row(const float* x, int64_t inputs, int64_t group, float inverse, int32_t factor,
               int8_t* codes, int32_t* offsets) {
  for (int64_t i = 0; i < inputs; i += 16) round16(x + i, set(inverse), codes + i);
  for (int64_t i = 0; i < inputs; i += group) {
    offsets[i / group] += factor * sum_of(codes + i, group < inputs - i ? group : inputs - i);
  }
}

}  // namespace

const Int8Kernels kInt8 = {.max_rows = kMostRows,
                           .max_grouped_rows = kMostGrouped,
                           .shift = kShift,
                           .round_row = round_row,
                           .scale_row = scale_row,
                           .unpack = unpack,
                           .tile = run_tile,
                           .stream = run_stream};

}  // namespace tenon::cpu::TENON_ISA
