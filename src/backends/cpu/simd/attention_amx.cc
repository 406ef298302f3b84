#include "backends/cpu/isa.h"
#include "backends/cpu/simd/matrix_tiles.h"
#include "backends/cpu/simd/vec.h"
#include "backends/cpu/simd/vector_math.h"

namespace tenon::cpu::TENON_ISA {
namespace {

constexpr int64_t kStepUnits = 16;

void multiply(const PairProduct& product) {
  const PairSegment only, *segments = product.segments ? product.segments : &only;
  TileScope scope(kMatrixRows, kTileBytes);
  for (int64_t panel = 0; panel < product.panels; ++panel) {
    for (int64_t row = 0; row < product.rows; row += kMatrixRows) {
      auto* a = static_cast<const char*>(product.a) + row * product.a_pitch;
      auto* b = static_cast<const char*>(product.b) + panel * product.b_panel;
      TileSums sums = {product.c + row * product.c_pitch + panel * kMatrixColumns,
                       product.c_pitch * int64_t{sizeof(float)}};
      if (product.accumulate) {
        load_sums<true>(sums);
      } else {
        clear_sums<true>();
      }
      for (int64_t i = 0; i < product.segment_count; ++i) {
        TileOperands at = {a + segments[i].a, product.a_pitch, b + segments[i].b, product.b_pitch};
        for (int64_t unit = 0; unit < product.units; unit += kStepUnits) {
          multiply_pairs<true>(at);
          at.a += kTileBytes;
          at.b += kStepUnits * product.b_pitch;
        }
      }
      store_sums<true>(sums);
    }
  }
}

void pair_rows(const void* even, const void* odd, int64_t n, void* to) {
  auto* low = static_cast<const uint16_t*>(even);
  auto* high = static_cast<const uint16_t*>(odd);
  auto* pairs = static_cast<uint32_t*>(to);
  for (int64_t i = 0; i < n; i += kLanes) {
    int64_t lanes = n - i < kLanes ? n - i : kLanes;
    __m512i pair = _mm512_cvtepu16_epi32(load_16bit(low + i, lanes));
    if (high) {
      __m512i other = _mm512_cvtepu16_epi32(load_16bit(high + i, lanes));
      pair = _mm512_or_si512(pair, _mm512_slli_epi32(other, 16));
    }
    _mm512_mask_storeu_epi32(pairs + i, first_lanes(lanes), pair);
  }
}

// scale * scores + bias over n numbers; the largest so far in `top`, whose lanes drop NaN.
template <class Bias>
inline F finish_row(float* scores, int64_t n, F scale, F top, Bias bias) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    F value = fma(scale, load(scores + i), bias(i, kLanes));
    store(scores + i, value);
    top = max(value, top);
  }
  if (i < n) {
    F value = fma(scale, load(scores + i, n - i), bias(i, n - i));
    store(scores + i, value, n - i);
    top = max(select(first_lanes(n - i), value, top), top);
  }
  return top;
}

float finish_scores(float* scores, int64_t count, float scale, const float* by_row,
                    const float* by_column, int64_t wide) {
  F factor = set(scale), top = set(-__builtin_inff());
  if (wide == 0) {
    top = finish_row(scores, count, factor, top, [](int64_t, int64_t) { return zero(); });
  }
  for (int64_t first = 0; wide > 0 && first < count; first += wide, ++by_row) {
    F row = set(*by_row);
    top = finish_row(scores + first, wide, factor, top, [&](int64_t i, int64_t n) {
      return add(row, n == kLanes ? load(by_column + i) : load(by_column + i, n));
    });
  }
  return reduce_max(top);
}

// The nearest bf16 and the nearest bf16 of what is left of each number.
inline void split(F first, F second, uint16_t* high, uint16_t* low) {
  auto near = (__m512i)_mm512_cvtne2ps_pbh(second, first);
  F first_rest = sub(first, bf16_to_float(_mm512_castsi512_si256(near)));
  F second_rest = sub(second, bf16_to_float(_mm512_extracti64x4_epi64(near, 1)));
  _mm512_storeu_si512(high, near);
  _mm512_storeu_si512(low, (__m512i)_mm512_cvtne2ps_pbh(second_rest, first_rest));
}

void split_halves(const void* from, int64_t n, void* high, void* low) {
  auto* halves = static_cast<const uint16_t*>(from);
  auto* to_high = static_cast<uint16_t*>(high);
  auto* to_low = static_cast<uint16_t*>(low);
  for (int64_t i = 0; i < n; i += kLanes) {
    int64_t lanes = n - i < kLanes ? n - i : kLanes;
    F value = _mm512_cvtph_ps(load_16bit(halves + i, lanes));
    auto near = (__m256i)_mm512_cvtneps_pbh(value);
    // 11 bits: what is left of the nearest number of 8 has no more than 3.
    F rest = sub(value, bf16_to_float(near));
    rest = select(less(abs(value), set(__builtin_inff())), rest, zero());
    __mmask16 mask = first_lanes(lanes);
    _mm256_mask_storeu_epi16(to_high + i, mask, near);
    _mm256_mask_storeu_epi16(to_low + i, mask, (__m256i)_mm512_cvtneps_pbh(rest));
  }
}

float split_exp(const float* scores, int64_t count, float centre, void* high, void* low) {
  auto* to_high = static_cast<uint16_t*>(high);
  auto* to_low = static_cast<uint16_t*>(low);
  F c = set(centre), first_sum = zero(), second_sum = zero();
  int64_t i = 0;
  for (; i + 2 * kLanes <= count; i += 2 * kLanes) {
    F first = exp(sub(load(scores + i), c)), second = exp(sub(load(scores + i + kLanes), c));
    first_sum = add(first_sum, first), second_sum = add(second_sum, second);
    split(first, second, to_high + i, to_low + i);
  }
  if (i < count) {
    auto part = [&](int64_t at) {
      int64_t n = count - at < 0 ? 0 : count - at < kLanes ? count - at : kLanes;
      return select(first_lanes(n), exp(sub(load(scores + at, n), c)), zero());
    };
    F first = part(i), second = part(i + kLanes);
    first_sum = add(first_sum, first), second_sum = add(second_sum, second);
    split(first, second, to_high + i, to_low + i);
  }
  return reduce_add(add(first_sum, second_sum));
}

}  // namespace

const PairAttentionKernels kPairAttention = {.multiply = multiply,
                                             .split_halves = split_halves,
                                             .pair_rows = pair_rows,
                                             .finish_scores = finish_scores,
                                             .split_exp = split_exp};

}  // namespace tenon::cpu::TENON_ISA
