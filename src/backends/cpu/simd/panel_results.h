#pragma once

#include "backends/cpu/isa.h"
#include "backends/cpu/simd/vec.h"

// Results of 32 columns of a row, on their way to y.
namespace tenon::cpu::TENON_ISA {

constexpr int kPanel = 32;

inline F scales_at(const PanelScales& scales, int64_t index) {
  if (scales.half) return load_f16(static_cast<const uint16_t*>(scales.scales) + index);
  return load(static_cast<const float*>(scales.scales) + index);
}

struct ResultRow {
  F low, high;  // columns 0 to 15, 16 to 31
};

inline ResultRow with_bias(const PanelResults& results, ResultRow row) {
  if (!results.bias) return row;
  return {add(row.low, load(results.bias)), add(row.high, load(results.bias + kLanes))};
}

// Whole lines of memory, none of which is read before: y is large, and nobody wants it in a cache.
inline void stream_row(float* to, const ResultRow& row) {
  _mm512_stream_ps(to, row.low);
  _mm512_stream_ps(to + kLanes, row.high);
}
inline void stream_row(uint16_t* to, __m256i low, __m256i high) {
  __m512i both = _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
  _mm512_stream_si512(reinterpret_cast<__m512i*>(to), both);
}

inline void store_row(const PanelResults& results, char* y, ResultRow row) {
  if (results.past_caches && results.y_dtype == DType::F32)
    return stream_row(reinterpret_cast<float*>(y), row);
  if (results.past_caches && results.y_dtype == DType::BF16) {
    auto* to = reinterpret_cast<uint16_t*>(y);
    return stream_row(to, to_bf16_bits(row.low), to_bf16_bits(row.high));
  }
  with_format(results.y_dtype, [&]<class Format>(Format) {
    auto* to = reinterpret_cast<typename Format::Element*>(y);
    int64_t n = results.columns;
    put<Format>(to, row.low, n < kLanes ? n : kLanes);
    if (n > kLanes) put<Format>(to + kLanes, row.high, n - kLanes);
  });
}

inline ResultRow with_residual(const PanelResults& results, int64_t index, ResultRow row) {
  with_format(results.residual_dtype, [&]<class Format>(Format) {
    auto* from =
        reinterpret_cast<const typename Format::Element*>(results.residual[index]) + results.column;
    int64_t n = results.columns;
    row.low = add(row.low, get<Format>(from, n < kLanes ? n : kLanes));
    if (n > kLanes) row.high = add(row.high, get<Format>(from + kLanes, n - kLanes));
  });
  return row;
}

// Behind the activation, where there is one.
inline void finish_row(const PanelResults& results, int64_t index, ResultRow row) {
  if (results.residual) row = with_residual(results, index, row);
  int64_t bytes = results.y_dtype == DType::F32 ? 4 : 2;
  store_row(results, results.y[index] + results.column * bytes, row);
}

// Rows that wait for their activation, which is a function of many numbers.
struct alignas(64) WaitingRows {
  float values[kPanel][kPanel];

  void put(int64_t at, const ResultRow& row) {
    store(values[at], row.low);
    store(values[at] + kLanes, row.high);
  }
  void finish(const PanelResults& results, int64_t first, int64_t rows) {
    results.activate(results.activation, rows * kPanel, values[0]);
    for (int64_t i = 0; i < rows; ++i) {
      finish_row(results, first + i, {load(values[i]), load(values[i] + kLanes)});
    }
  }
};

}  // namespace tenon::cpu::TENON_ISA
