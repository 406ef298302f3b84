#include "backends/cpu/isa.h"
#include "backends/cpu/simd/vec.h"

namespace tenon::cpu::TENON_ISA {
namespace {

// `heads` rows of sums by `vectors` vectors of columns: V is read once for all of them.
template <class Format, int heads, int vectors>
void weigh_block(const typename Format::Element* const* values, int64_t count, int64_t column,
                 const float* weights, int64_t weights_pitch, float* sums, int64_t sums_pitch) {
  F held[heads][vectors];
#pragma GCC unroll 8
  for (int h = 0; h < heads; ++h) {
#pragma GCC unroll 8
    for (int j = 0; j < vectors; ++j) {
      held[h][j] = load(sums + h * sums_pitch + column + j * kLanes);
    }
  }
  for (int64_t p = 0; p < count; ++p) {
    F row[vectors];
#pragma GCC unroll 8
    for (int j = 0; j < vectors; ++j) row[j] = Format::get(values[p] + column + j * kLanes);
#pragma GCC unroll 8
    for (int h = 0; h < heads; ++h) {
      F weight = set(weights[h * weights_pitch + p]);
#pragma GCC unroll 8
      for (int j = 0; j < vectors; ++j) held[h][j] = fma(weight, row[j], held[h][j]);
    }
  }
#pragma GCC unroll 8
  for (int h = 0; h < heads; ++h) {
#pragma GCC unroll 8
    for (int j = 0; j < vectors; ++j) {
      store(sums + h * sums_pitch + column + j * kLanes, held[h][j]);
    }
  }
}

// The last columns, fewer than a vector.
template <class Format>
void weigh_tail(const typename Format::Element* const* values, int64_t count, int64_t column,
                int64_t n, const float* weights, float* sums) {
  F held = load(sums + column, n);
  for (int64_t p = 0; p < count; ++p) {
    held = fma(set(weights[p]), Format::get(values[p] + column, n), held);
  }
  store(sums + column, held, n);
}

template <class Format, int heads>
void weigh_heads(const void* const* values, int64_t count, int64_t columns, const float* weights,
                 int64_t weights_pitch, float* sums, int64_t sums_pitch) {
  // 12 accumulators at most, so that AVX2's 16 registers hold them.
  constexpr int vectors = heads == 1 ? 4 : 2;
  auto rows = reinterpret_cast<const typename Format::Element* const*>(values);
  int64_t column = 0;
  for (; column + vectors * kLanes <= columns; column += vectors * kLanes) {
    weigh_block<Format, heads, vectors>(rows, count, column, weights, weights_pitch, sums,
                                        sums_pitch);
  }
  for (; column + kLanes <= columns; column += kLanes) {
    weigh_block<Format, heads, 1>(rows, count, column, weights, weights_pitch, sums, sums_pitch);
  }
  for (int h = 0; h < heads && column < columns; ++h) {
    weigh_tail<Format>(rows, count, column, columns - column, weights + h * weights_pitch,
                       sums + h * sums_pitch);
  }
}

void weigh_rows(DType dtype, const void* const* values, int64_t count, int64_t columns, int64_t m,
                const float* weights, int64_t weights_pitch, float* sums, int64_t sums_pitch) {
  with_format(dtype, [&]<class Format>(Format) {
    int64_t h = 0;
    for (; h + 4 <= m; h += 4) {
      weigh_heads<Format, 4>(values, count, columns, weights + h * weights_pitch, weights_pitch,
                             sums + h * sums_pitch, sums_pitch);
    }
    for (; h < m; ++h) {
      weigh_heads<Format, 1>(values, count, columns, weights + h * weights_pitch, weights_pitch,
                             sums + h * sums_pitch, sums_pitch);
    }
  });
}

}  // namespace

const AttentionKernels kAttention = {.weigh_rows = weigh_rows};

}  // namespace tenon::cpu::TENON_ISA
