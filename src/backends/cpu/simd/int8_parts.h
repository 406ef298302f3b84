#pragma once

#include "backends/cpu/isa.h"
#include "backends/cpu/simd/prefetch.h"
#if defined(__aarch64__)
#include "backends/cpu/simd/int8_dot_neon.h"
#else
#include "backends/cpu/simd/int8_dot_x86.h"
#endif

// What all products of codes share. Lanes are columns; 4 bytes of a lane are a unit of inputs.
namespace tenon::cpu::TENON_ISA {

constexpr int kPanel = 32;
constexpr int kPart = kVectors * kLanes;
constexpr int64_t kUnitBytes = kPanel * 4;

inline F scales_at(const PanelScales& scales, int64_t index) {
  if (scales.half) return load_f16(static_cast<const uint16_t*>(scales.scales) + index);
  return load(static_cast<const float*>(scales.scales) + index);
}

// Those that lie `count` further on.
inline PanelScales scales_behind(PanelScales scales, int64_t count) {
  scales.scales = static_cast<const char*>(scales.scales) + count * (scales.half ? 2 : 4);
  if (scales.zeros) scales.zeros += count;
  return scales;
}

// What the sums of a group begin with, of the columns of one part.
template <int m, bool packed>
inline void begin_group(const Int8Tile& tile, const uint8_t* zeros, int64_t group, int part,
                        I (&sums)[m][kVectors]) {
#pragma GCC unroll 12
  for (int i = 0; i < m; ++i) {
    int32_t offset = tile.offsets[i * tile.offsets_pitch + group];
#pragma GCC unroll 2
    for (int j = 0; j < kVectors; ++j) {
      int64_t column = group * kPanel + part * kPart + j * kLanes;
      sums[i][j] = zeros ? offset_of(zeros + column, packed ? 0 : kShift, offset) : fill(offset);
    }
  }
}

}  // namespace tenon::cpu::TENON_ISA
