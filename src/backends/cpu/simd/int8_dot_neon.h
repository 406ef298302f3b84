#pragma once

#include "backends/cpu/simd/vec_neon.h"

// Sums of products of codes on Arm, 4 columns a vector. The integers are those of `vpdpbusd`, in
// three ways: `usmmla` (i8mm) multiplies two rows by two columns, 8 inputs deep; `sdot` (dotprod)
// has signed factors only, so codes of 8 bits go less 128; without either, products of 16 bits are
// added in pairs, which cannot overflow since codes of x are within 127.
namespace tenon::cpu::TENON_ISA {

using I = int32x4_t;
constexpr int kMostRows = 8, kMostGrouped = 4;
constexpr int kVectors = 2;  // of columns at once

#if defined(__ARM_FEATURE_MATMUL_INT8)
constexpr int kShift = 0;
using Column = uint8x16_t;
inline Column column_of(uint8x16_t codes) {
  return codes;
}
template <int unit>
inline I dot(I sum, Column codes, int8x16_t x) {
  return vusdotq_laneq_s32(sum, codes, x, unit);
}
#else
constexpr int kShift = 128;
using Column = int8x16_t;
inline Column column_of(uint8x16_t codes) {
  return vreinterpretq_s8_u8(veorq_u8(codes, vdupq_n_u8(kShift)));
}
#if defined(__ARM_FEATURE_DOTPROD)
template <int unit>
inline I dot(I sum, Column codes, int8x16_t x) {
  return vdotq_laneq_s32(sum, codes, x, unit);
}
#else
template <int unit>
inline I dot(I sum, Column codes, int8x16_t x) {
  int8x16_t value = vreinterpretq_s8_s32(vdupq_laneq_s32(vreinterpretq_s32_s8(x), unit));
  int16x8_t low = vmull_s8(vget_low_s8(codes), vget_low_s8(value));
  return vpadalq_s16(sum, vpaddq_s16(low, vmull_high_s8(codes, value)));
}
#endif
#endif

// Codes of two units, one behind the other, of 4 columns each.
struct UnitPair {
  Column first[kVectors], second[kVectors];
};

// `packed`: halves of bytes, which are signed numbers as they are.
template <bool packed>
inline UnitPair load_pair(const uint8_t* codes, int64_t unit_bytes) {
  UnitPair pair;
#pragma GCC unroll 2
  for (int j = 0; j < kVectors; ++j) {
    uint8x16_t first = vld1q_u8(codes + j * 16);
    if constexpr (packed) {
      pair.first[j] = (Column)vandq_u8(first, vdupq_n_u8(15));
      pair.second[j] = (Column)vshrq_n_u8(first, 4);
    } else {
      pair.first[j] = column_of(first);
      pair.second[j] = column_of(vld1q_u8(codes + unit_bytes + j * 16));
    }
  }
  return pair;
}

template <int m, int at>
inline void add_rows(const UnitPair& pair, const int8x16_t (&x)[m], int first,
                     I (&sums)[m][kVectors]) {
#pragma GCC unroll 8
  for (int i = first; i < m; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < kVectors; ++j) {
      sums[i][j] = dot<at>(sums[i][j], pair.first[j], x[i]);
      sums[i][j] = dot<at + 1>(sums[i][j], pair.second[j], x[i]);
    }
  }
}

#if defined(__ARM_FEATURE_MATMUL_INT8)
// Two rows of 4 sums each become blocks of two rows by two columns, as usmmla adds to them: columns
// 0 and 1 in place of the first row, 2 and 3 in place of the second.
template <int m>
inline void to_blocks(I (&sums)[m][kVectors]) {
#pragma GCC unroll 4
  for (int i = 0; i + 1 < m; i += 2) {
#pragma GCC unroll 2
    for (int j = 0; j < kVectors; ++j) {
      I top = sums[i][j], bottom = sums[i + 1][j];
      sums[i][j] = vzip1q_s32(top, bottom);
      sums[i + 1][j] = vzip2q_s32(top, bottom);
    }
  }
}
template <int m>
inline void from_blocks(I (&sums)[m][kVectors]) {
#pragma GCC unroll 4
  for (int i = 0; i + 1 < m; i += 2) {
#pragma GCC unroll 2
    for (int j = 0; j < kVectors; ++j) {
      I left = sums[i][j], right = sums[i + 1][j];
      sums[i][j] = vuzp1q_s32(left, right);
      sums[i + 1][j] = vuzp2q_s32(left, right);
    }
  }
}

// Units `at` and `at` + 1 of the 4 that x holds of each row; a row without a partner by usdot.
template <int m, int at>
inline void add_pair(const UnitPair& pair, const int8x16_t (&x)[m], I (&sums)[m][kVectors]) {
  uint8x16_t low[kVectors], high[kVectors];  // columns 0 and 1, 2 and 3, of 8 inputs each
#pragma GCC unroll 2
  for (int j = 0; j < kVectors; ++j) {
    auto first = (uint32x4_t)pair.first[j], second = (uint32x4_t)pair.second[j];
    low[j] = (uint8x16_t)vzip1q_u32(first, second);
    high[j] = (uint8x16_t)vzip2q_u32(first, second);
  }
#pragma GCC unroll 4
  for (int i = 0; i + 1 < m; i += 2) {
    auto top = (int64x2_t)x[i], bottom = (int64x2_t)x[i + 1];
    auto rows = (int8x16_t)(at == 0 ? vzip1q_s64(top, bottom) : vzip2q_s64(top, bottom));
#pragma GCC unroll 2
    for (int j = 0; j < kVectors; ++j) {
      sums[i][j] = vusmmlaq_s32(sums[i][j], low[j], rows);
      sums[i + 1][j] = vusmmlaq_s32(sums[i + 1][j], high[j], rows);
    }
  }
  if constexpr (m % 2 != 0) add_rows<m, at>(pair, x, m - 1, sums);
}
#else
template <int m>
inline void to_blocks(I (&)[m][kVectors]) {}
template <int m>
inline void from_blocks(I (&)[m][kVectors]) {}

template <int m, int at>
inline void add_pair(const UnitPair& pair, const int8x16_t (&x)[m], I (&sums)[m][kVectors]) {
  add_rows<m, at>(pair, x, 0, sums);
}
#endif

// sums += x . `units` units of the panel, columns of one part. Rows of x are `x_pitch` bytes apart,
// units of codes `unit_bytes`.
template <int m, bool packed, int64_t x_pitch, int64_t unit_bytes, int units = 8>
__attribute__((always_inline)) inline void add_units(const int8_t* x, const uint8_t* codes,
                                                     I (&sums)[m][kVectors]) {
  constexpr int64_t pair_bytes = packed ? unit_bytes : 2 * unit_bytes;
  static_assert(units % 4 == 0);
#pragma GCC unroll 2
  for (int four = 0; four < units / 4; ++four, x += 16, codes += 2 * pair_bytes) {
    int8x16_t rows[m];
#pragma GCC unroll 8
    for (int i = 0; i < m; ++i) rows[i] = vld1q_s8(x + i * x_pitch);
    add_pair<m, 0>(load_pair<packed>(codes, unit_bytes), rows, sums);
    add_pair<m, 2>(load_pair<packed>(codes + pair_bytes, unit_bytes), rows, sums);
  }
}

inline I fill(int32_t v) {
  return vdupq_n_s32(v);
}
inline F to_floats(I v) {
  return vcvtq_f32_s32(v);
}
// (zero - shift) * offset of each column.
inline I offset_of(const uint8_t* zeros, int shift, int32_t offset) {
  uint32_t bytes;
  memcpy(&bytes, zeros, 4);
  uint16x8_t wide = vmovl_u8(vcreate_u8(bytes));
  I zero_codes = vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(wide)));
  return vmulq_n_s32(vsubq_s32(zero_codes, fill(shift)), offset);
}

// 16 codes of x.
inline void round16(const float* x, F inverse, int8_t* to) {
  int16x8_t halves[2];
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    I low = vcvtnq_s32_f32(mul(load(x + 8 * i), inverse));
    I high = vcvtnq_s32_f32(mul(load(x + 8 * i + 4), inverse));
    halves[i] = vcombine_s16(vqmovn_s32(low), vqmovn_s32(high));
  }
  vst1q_s8(to, vcombine_s8(vqmovn_s16(halves[0]), vqmovn_s16(halves[1])));
}
inline int32_t sum_of(const int8_t* codes, int64_t count) {
  I sums = fill(0);
  for (int64_t i = 0; i < count; i += 16) {
    sums = vpadalq_s16(sums, vpaddlq_s8(vld1q_s8(codes + i)));
  }
  return vaddvq_s32(sums);
}
// 32 bytes of pairs: the low halves, and the high ones.
inline void split32(const uint8_t* codes, uint8_t* low, uint8_t* high) {
#pragma GCC unroll 2
  for (int i = 0; i < 32; i += 16) {
    uint8x16_t both = vld1q_u8(codes + i);
    vst1q_u8(low + i, vandq_u8(both, vdupq_n_u8(15)));
    vst1q_u8(high + i, vshrq_n_u8(both, 4));
  }
}

}  // namespace tenon::cpu::TENON_ISA
