#pragma once

#include "backends/cpu/isa.h"
#include "backends/cpu/simd/vector_math.h"

// One head of many queries with a few keys, all in registers: lanes of scores are keys, lanes of
// results are dims. No online softmax, and nothing is packed but K and V.
namespace tenon::cpu::TENON_ISA {

constexpr int kKeyVectors = kFewKeys / kLanes;
constexpr int kFewRows = 4;  // queries at once, so that their sums do not wait for each other

template <int rows>
inline void score_few(const FewKeys& keys, const float* q, int64_t q_pitch,
                      F (&scores)[rows][kKeyVectors]) {
#pragma GCC unroll 4
  for (int j = 0; j < kKeyVectors; ++j) {
#pragma GCC unroll 4
    for (int i = 0; i < rows; ++i) scores[i][j] = zero();
  }
  for (int64_t dim = 0; dim < keys.dims; ++dim) {
    F column[kKeyVectors];
#pragma GCC unroll 4
    for (int j = 0; j < kKeyVectors; ++j) column[j] = load(keys.k + dim * kFewKeys + j * kLanes);
#pragma GCC unroll 4
    for (int i = 0; i < rows; ++i) {
      F value = set(q[i * q_pitch + dim]);
#pragma GCC unroll 4
      for (int j = 0; j < kKeyVectors; ++j) scores[i][j] = fma(column[j], value, scores[i][j]);
    }
  }
}

// exp(scores - the largest) into weights; returns their sum. Lanes beyond the keys have some key's
// score, so that exp sees no number of another size.
inline float softmax_few(const F (&scores)[kKeyVectors], const float* valid, float* weights) {
  F most = scores[0];
#pragma GCC unroll 4
  for (int j = 1; j < kKeyVectors; ++j) most = max(scores[j], most);
  F top = set(reduce_max(most)), sum = zero();
#pragma GCC unroll 4
  for (int j = 0; j < kKeyVectors; ++j) {
    F weight = mul(exp(sub(scores[j], top)), load(valid + j * kLanes));
    store(weights + j * kLanes, weight);
    sum = add(sum, weight);
  }
  return reduce_add(sum);
}

template <int rows>
inline void attend_rows(const FewKeys& keys, const float* q, int64_t q_pitch, float* out,
                        int64_t out_pitch) {
  F scores[rows][kKeyVectors];
  alignas(64) float weights[rows][kFewKeys];
  float factors[rows];
  score_few<rows>(keys, q, q_pitch, scores);
#pragma GCC unroll 4
  for (int i = 0; i < rows; ++i) factors[i] = 1.0f / softmax_few(scores[i], keys.valid, weights[i]);
  for (int64_t dim = 0; dim < keys.dims; dim += kLanes) {
    F sums[rows];
#pragma GCC unroll 4
    for (int i = 0; i < rows; ++i) sums[i] = zero();
    for (int64_t key = 0; key < keys.count; ++key) {
      F value = load(keys.v + key * keys.dims + dim);
#pragma GCC unroll 4
      for (int i = 0; i < rows; ++i) sums[i] = fma(set(weights[i][key]), value, sums[i]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < rows; ++i) store(out + i * out_pitch + dim, mul(sums[i], set(factors[i])));
  }
}

inline void attend_few(const FewKeys& keys, const float* q, int64_t q_pitch, int64_t rows,
                       float* out, int64_t out_pitch) {
  int64_t row = 0;
  for (; row + kFewRows <= rows; row += kFewRows) {
    attend_rows<kFewRows>(keys, q + row * q_pitch, q_pitch, out + row * out_pitch, out_pitch);
  }
  for (; row < rows; ++row)
    attend_rows<1>(keys, q + row * q_pitch, q_pitch, out + row * out_pitch, out_pitch);
}

}  // namespace tenon::cpu::TENON_ISA
