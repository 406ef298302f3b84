#include "backends/cpu/isa.h"
#include "backends/cpu/simd/vec.h"

// Products of rows of int8 codes with panels of unsigned codes (tensor/formats/quantised_weight.h).
// Lanes are columns; 4 bytes of a lane are a unit of inputs.
namespace tenon::cpu::TENON_ISA {
namespace {

constexpr int kPanel = 32;
constexpr int kVectors = 2;  // of columns at once
constexpr int kPart = kVectors * kLanes;
constexpr int64_t kUnitBytes = kPanel * 4;

#if defined(__AVX512VNNI__)
// More rows would fit the registers, but gcc 12 then moves accumulators to memory and back. With
// groups, totals in f32 take half of them.
constexpr int kMostRows = 8, kMostGrouped = 6;
using I = __m512i;
inline I load_codes(const uint8_t* p) {
  return _mm512_loadu_si512(p);
}
inline I low_codes(I v) {
  return _mm512_and_si512(v, _mm512_set1_epi8(15));
}
inline I high_codes(I v) {
  return _mm512_and_si512(_mm512_srli_epi16(v, 4), _mm512_set1_epi8(15));
}
inline I broadcast(const int8_t* p) {
  int32_t bits;
  __builtin_memcpy(&bits, p, 4);
  return _mm512_set1_epi32(bits);
}
inline I fill(int32_t v) {
  return _mm512_set1_epi32(v);
}
inline F to_floats(I v) {
  return _mm512_cvtepi32_ps(v);
}
// zero * offset of each column.
inline I offset_of(const uint8_t* zeros, int32_t offset) {
  __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(zeros));
  return _mm512_mullo_epi32(_mm512_cvtepu8_epi32(bytes), fill(offset));
}
struct Codes {
  I all;
};
template <bool four>
inline Codes prepared(I v) {
  return {v};
}
template <bool four>
inline I dot(I sum, const Codes& codes, I x) {
  return _mm512_dpbusd_epi32(sum, codes.all, x);
}
inline __m128i rounded16(const float* x, F inverse) {
  return _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(mul(load(x), inverse)));
}
#else
constexpr int kMostRows = 3, kMostGrouped = 2;
using I = __m256i;
inline I load_codes(const uint8_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
inline I low_codes(I v) {
  return _mm256_and_si256(v, _mm256_set1_epi8(15));
}
inline I high_codes(I v) {
  return _mm256_and_si256(_mm256_srli_epi16(v, 4), _mm256_set1_epi8(15));
}
inline I broadcast(const int8_t* p) {
  int32_t bits;
  __builtin_memcpy(&bits, p, 4);
  return _mm256_set1_epi32(bits);
}
inline I fill(int32_t v) {
  return _mm256_set1_epi32(v);
}
inline F to_floats(I v) {
  return _mm256_cvtepi32_ps(v);
}
inline I offset_of(const uint8_t* zeros, int32_t offset) {
  __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(zeros));
  return _mm256_mullo_epi32(_mm256_cvtepu8_epi32(bytes), fill(offset));
}
// vpmaddubsw saturates at 16 bits, which two products of 8 bits pass: so codes of 8 bits go as
// halves of 4, whose sums cannot.
struct Codes {
  I low, high;
};
template <bool four>
inline Codes prepared(I v) {
  if constexpr (four) return {v, v};
  return {low_codes(v), high_codes(v)};
}
template <bool four>
inline I dot(I sum, const Codes& codes, I x) {
  I low = _mm256_madd_epi16(_mm256_maddubs_epi16(codes.low, x), _mm256_set1_epi16(1));
  sum = _mm256_add_epi32(sum, low);
  if constexpr (four) return sum;
  I high = _mm256_madd_epi16(_mm256_maddubs_epi16(codes.high, x), _mm256_set1_epi16(16));
  return _mm256_add_epi32(sum, high);
}
inline __m128i rounded16(const float* x, F inverse) {
  I a = _mm256_cvtps_epi32(mul(load(x), inverse));
  I b = _mm256_cvtps_epi32(mul(load(x + kLanes), inverse));
  I both = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xD8);
  return _mm_packs_epi16(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
}
#endif

inline F scales_at(const PanelScales& scales, int64_t index) {
  if (scales.half) return load_f16(static_cast<const uint16_t*>(scales.scales) + index);
  return load(static_cast<const float*>(scales.scales) + index);
}

inline void fetch_ahead(const char*& at, int64_t lines) {
  for (int64_t i = 0; i < lines; ++i, at += 64) {
    // Not __builtin_prefetch: gcc drops a loop of it, which to it has no effect.
    asm volatile("prefetcht1 %0" : : "m"(*at));
  }
}

// sums += x . 8 units of the panel, columns of one part.
template <int m, bool packed>
__attribute__((always_inline)) inline void add_units(const int8_t* x, const uint8_t* codes,
                                                     I (&sums)[m][kVectors]) {
  auto unit = [&](int64_t at, const Codes(&columns)[kVectors]) __attribute__((always_inline)) {
#pragma GCC unroll 12
    for (int i = 0; i < m; ++i) {
      I value = broadcast(x + i * kInt8Pitch + at * 4);
#pragma GCC unroll 2
      for (int j = 0; j < kVectors; ++j) sums[i][j] = dot<packed>(sums[i][j], columns[j], value);
    }
  };
  constexpr int kBytes = kLanes * 4;
  if constexpr (packed) {
#pragma GCC unroll 4
    for (int pair = 0; pair < 4; ++pair) {
      Codes first[kVectors], second[kVectors];
#pragma GCC unroll 2
      for (int j = 0; j < kVectors; ++j) {
        I both = load_codes(codes + pair * kUnitBytes + j * kBytes);
        first[j] = prepared<true>(low_codes(both));
        second[j] = prepared<true>(high_codes(both));
      }
      unit(2 * pair, first);
      unit(2 * pair + 1, second);
    }
  } else {
#pragma GCC unroll 8
    for (int at = 0; at < 8; ++at) {
      Codes columns[kVectors];
#pragma GCC unroll 2
      for (int j = 0; j < kVectors; ++j) {
        columns[j] = prepared<false>(load_codes(codes + at * kUnitBytes + j * kBytes));
      }
      unit(at, columns);
    }
  }
}

template <int m>
inline void begin_group(const Int8Tile& tile, int64_t group, int part, I (&sums)[m][kVectors]) {
#pragma GCC unroll 12
  for (int i = 0; i < m; ++i) {
    int32_t offset = tile.offsets[i * tile.offsets_pitch + group];
#pragma GCC unroll 2
    for (int j = 0; j < kVectors; ++j) {
      int64_t column = group * kPanel + part * kPart + j * kLanes;
      const uint8_t* zeros = tile.scales.zeros;
      sums[i][j] = zeros ? offset_of(zeros + column, offset) : fill(offset);
    }
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

// The products of one group, as integers.
template <int m, bool packed>
__attribute__((always_inline)) inline void add_group(const Int8Tile& tile, Walk& walk,
                                                     I (&sums)[m][kVectors]) {
  for (int64_t unit = 0; unit < tile.scales.units;) {
    if (walk.left == 0) {
      walk.x += tile.x_block - kInt8Block;
      walk.left = kInt8Block;
    }
    int64_t rest = walk.left / 4, wanted = tile.scales.units - unit;
    int64_t units = rest < wanted ? rest : wanted;
    unit += units;
    walk.left -= units * 4;
    for (; units > 0; units -= 8, walk.x += 32) {
      fetch_ahead(walk.fetch, walk.lines);
      add_units<m, packed>(walk.x, walk.codes, sums);
      walk.codes += packed ? 4 * kUnitBytes : 8 * kUnitBytes;
    }
  }
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

// `grouped` keeps totals in f32 beside the sums; of a single group they would only take registers.
template <int m, bool packed, bool grouped>
void tile_of_rows(const Int8Tile& tile, int part) {
  Walk walk = {tile.x + tile.x_first, kInt8Block - tile.x_first, tile.codes + part * kPart * 4,
               static_cast<const char*>(tile.fetch), part == 0 ? tile.fetch_lines : 0};
  int column = part * kPart;
  I sums[m][kVectors];
  if constexpr (!grouped) {
    if (tile.resume) {
      move_sums<m, true>(tile, column, sums);
    } else {
      begin_group<m>(tile, 0, part, sums);
    }
    add_group<m, packed>(tile, walk, sums);
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
      begin_group<m>(tile, group, part, sums);
      add_group<m, packed>(tile, walk, sums);
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

template <bool packed, bool grouped, int m>
void run_rows(const Int8Tile& tile, int part) {
  if constexpr (m > 0) {
    if (tile.rows < m) return run_rows<packed, grouped, m - 1>(tile, part);
    tile_of_rows<m, packed, grouped>(tile, part);
  }
}

template <bool packed>
void run_part(const Int8Tile& tile, int part) {
  if (tile.scales.groups == 1) return run_rows<packed, false, kMostRows>(tile, part);
  for (int first = 0; first < tile.rows; first += kMostGrouped) {
    Int8Tile rows = tile;
    rows.rows = tile.rows - first < kMostGrouped ? tile.rows - first : kMostGrouped;
    rows.x += first * kInt8Pitch;
    rows.x_scales += first;
    rows.offsets += first * tile.offsets_pitch;
    rows.c += first * tile.c_pitch;
    if (first > 0) rows.fetch_lines = 0;
    run_rows<packed, true, kMostGrouped>(rows, part);
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

void unpack(const uint8_t* codes, int64_t units, uint8_t* to) {
  for (int64_t pair = 0; pair < units / 2; ++pair, codes += kUnitBytes, to += 2 * kUnitBytes) {
    for (int64_t i = 0; i < kUnitBytes; i += 32) {
      __m256i both = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes + i));
      __m256i mask = _mm256_set1_epi8(15);
      __m256i high = _mm256_and_si256(_mm256_srli_epi16(both, 4), mask);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i), _mm256_and_si256(both, mask));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + kUnitBytes + i), high);
    }
  }
}

inline int32_t sum_of(const int8_t* codes, int64_t count) {
  __m256i sums = _mm256_setzero_si256(), ones = _mm256_set1_epi16(1);
  for (int64_t i = 0; i < count; i += 16) {
    __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes + i));
    sums = _mm256_add_epi32(sums, _mm256_madd_epi16(_mm256_cvtepi8_epi16(bytes), ones));
  }
  __m128i four = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  four = _mm_hadd_epi32(four, four);
  return _mm_cvtsi128_si32(_mm_hadd_epi32(four, four));
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
  for (int64_t i = 0; i < inputs; i += 16) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(codes + i), rounded16(x + i, set(inverse)));
  }
  for (int64_t i = 0; i < inputs; i += group) {
    offsets[i / group] += factor * sum_of(codes + i, group < inputs - i ? group : inputs - i);
  }
}

}  // namespace

const Int8Kernels kInt8 = {.max_rows = kMostRows,
                           .max_grouped_rows = kMostGrouped,
                           .round_row = round_row,
                           .scale_row = scale_row,
                           .unpack = unpack,
                           .tile = run_tile};

}  // namespace tenon::cpu::TENON_ISA
