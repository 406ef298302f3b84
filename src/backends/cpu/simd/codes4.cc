#include "backends/cpu/isa.h"
#include "backends/cpu/simd/vec.h"

// Panels of 4-bit codes (tensor/formats/quantised_weight.h) with x in f32. 32 bits of a lane are 8
// inputs of one column: the low halves of 4 bytes, then the high ones.
namespace tenon::cpu::TENON_ISA {
namespace {

constexpr int kPanel = 32;
constexpr int kVectors = kLanes == 4 ? 4 : 2;  // of columns at once: those of a tile of `linear`
constexpr int kPart = kVectors * kLanes;
constexpr int64_t kPairBytes = kPanel * 4;  // 8 inputs of a panel

#if defined(__aarch64__)
constexpr int kMostRows = 2;
using I = uint32x4_t;
inline I load_codes(const uint8_t* p) {
  return vreinterpretq_u32_u8(vld1q_u8(p));
}
struct Decoder {
  F middle;
  explicit Decoder(bool centred) : middle(set(centred ? 8.0f : 0.0f)) {}
  template <int shift>
  F get(I codes) const {
    if constexpr (shift > 0) codes = vshrq_n_u32(codes, shift);
    return sub(vcvtq_f32_u32(vandq_u32(codes, vdupq_n_u32(15))), middle);
  }
};
inline F load_zeros(const uint8_t* p) {
  uint32_t bytes;
  memcpy(&bytes, p, 4);
  return vcvtq_f32_u32(vmovl_u16(vget_low_u16(vmovl_u8(vcreate_u8(bytes)))));
}
#elif defined(__AVX512F__)
constexpr int kMostRows = 4;
using I = __m512i;
inline I load_codes(const uint8_t* p) {
  return _mm512_loadu_si512(p);
}
// The permutation looks at 4 bits of each index alone.
struct Decoder {
  F table;
  explicit Decoder(bool centred)
      : table(sub(_mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                  set(centred ? 8.0f : 0.0f))) {}
  template <int shift>
  F get(I codes) const {
    return _mm512_permutexvar_ps(_mm512_srli_epi32(codes, shift), table);
  }
};
inline F load_zeros(const uint8_t* p) {
  __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes));
}
#else
constexpr int kMostRows = 2;
using I = __m256i;
inline I load_codes(const uint8_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
struct Decoder {
  F middle;
  explicit Decoder(bool centred) : middle(set(centred ? 8.0f : 0.0f)) {}
  template <int shift>
  F get(I codes) const {
    I code = _mm256_and_si256(_mm256_srli_epi32(codes, shift), _mm256_set1_epi32(15));
    return sub(_mm256_cvtepi32_ps(code), middle);
  }
};
inline F load_zeros(const uint8_t* p) {
  __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
}
#endif

inline F scales_at(const PanelScales& scales, int64_t index) {
  if (scales.half) return load_f16(static_cast<const uint16_t*>(scales.scales) + index);
  return load(static_cast<const float*>(scales.scales) + index);
}

// Calls f(input, code as float) for the 8 inputs of a vector of codes.
template <class Function>
__attribute__((always_inline)) inline void for_inputs(const Decoder& decoder, I codes, Function f) {
  f(0, decoder.get<0>(codes));
  f(1, decoder.get<8>(codes));
  f(2, decoder.get<16>(codes));
  f(3, decoder.get<24>(codes));
  f(4, decoder.get<4>(codes));
  f(5, decoder.get<12>(codes));
  f(6, decoder.get<20>(codes));
  f(7, decoder.get<28>(codes));
}

// One vector of columns of a group: pairs of units, each as 8 rows of b.
template <bool has_zeros>
inline void unpack_group(const Decoder& decoder, const uint8_t* codes, int64_t pairs, F scale,
                         F zeros, float* b) {
  for (int64_t pair = 0; pair < pairs; ++pair, codes += kPairBytes, b += 8 * kPart) {
    for_inputs(
        decoder, load_codes(codes), [&](int input, F code) __attribute__((always_inline)) {
          if constexpr (has_zeros) code = sub(code, zeros);
          store(b + input * kPart, mul(code, scale));
        });
  }
}

void unpack(const uint8_t* codes, int64_t first, const PanelScales& scales, float* b) {
  Decoder decoder(!scales.zeros);
  int64_t pairs = scales.units / 2;
  for (int64_t group = 0; group < scales.groups; ++group) {
    for (int j = 0; j < kVectors; ++j) {
      int64_t column = first + j * kLanes, index = group * kPanel + column;
      const uint8_t* from = codes + group * pairs * kPairBytes + column * 4;
      float* to = b + group * pairs * 8 * kPart + j * kLanes;
      F scale = scales_at(scales, index);
      if (scales.zeros) {
        unpack_group<true>(decoder, from, pairs, scale, load_zeros(scales.zeros + index), to);
      } else {
        unpack_group<false>(decoder, from, pairs, scale, zero(), to);
      }
    }
  }
}

// Lines ahead of the stream of codes: a core drops a prefetch when its queue of misses is full, so
// each line is asked for more than once.
inline void fetch_ahead(const uint8_t* codes) {
  auto* line = reinterpret_cast<const char*>(codes);
  __builtin_prefetch(line + 2048, 0, 3);
  __builtin_prefetch(line + 2048 + 64, 0, 3);
  __builtin_prefetch(line + 4096, 0, 2);
  __builtin_prefetch(line + 4096 + 64, 0, 2);
}

template <int m, bool has_zeros>
void multiply_part(const float* x, int64_t x_pitch, const uint8_t* codes, int part,
                   const PanelScales& scales, float* c, int64_t c_pitch) {
  Decoder decoder(!has_zeros);
  F totals[m][kVectors];
#pragma GCC unroll 4
  for (int i = 0; i < m; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) totals[i][j] = zero();
  }
  codes += part * kPart * 4;
  for (int64_t group = 0; group < scales.groups; ++group) {
    int64_t index = group * kPanel + part * kPart;
    F sums[m][kVectors], zeros[kVectors];
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      zeros[j] = has_zeros ? load_zeros(scales.zeros + index + j * kLanes) : zero();
#pragma GCC unroll 4
      for (int i = 0; i < m; ++i) sums[i][j] = zero();
    }
    for (int64_t unit = 0; unit < scales.units; unit += 2, codes += kPairBytes, x += 8) {
      if (part == 0) fetch_ahead(codes);
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) {
        for_inputs(
            decoder, load_codes(codes + j * kLanes * 4),
            [&](int input, F code) __attribute__((always_inline)) {
              if constexpr (has_zeros) code = sub(code, zeros[j]);
#pragma GCC unroll 4
              for (int i = 0; i < m; ++i) {
                sums[i][j] = fma(code, set(x[i * x_pitch + input]), sums[i][j]);
              }
            });
      }
    }
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      F scale = scales_at(scales, index + j * kLanes);
#pragma GCC unroll 4
      for (int i = 0; i < m; ++i) totals[i][j] = fma(sums[i][j], scale, totals[i][j]);
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < m; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      store(c + i * c_pitch + part * kPart + j * kLanes, totals[i][j]);
    }
  }
}

template <int m = kMostRows>
void multiply(int rows, const float* x, int64_t x_pitch, const uint8_t* codes,
              const PanelScales& scales, float* c, int64_t c_pitch) {
  if constexpr (m > 0) {
    if (rows < m) return multiply<m - 1>(rows, x, x_pitch, codes, scales, c, c_pitch);
    for (int part = 0; part < kPanel / kPart; ++part) {
      if (scales.zeros) {
        multiply_part<m, true>(x, x_pitch, codes, part, scales, c, c_pitch);
      } else {
        multiply_part<m, false>(x, x_pitch, codes, part, scales, c, c_pitch);
      }
    }
  }
}

}  // namespace

const Codes4Kernels kCodes4 = {
    .max_rows = kMostRows, .columns = kPart, .unpack = unpack, .multiply = multiply<kMostRows>};

}  // namespace tenon::cpu::TENON_ISA
