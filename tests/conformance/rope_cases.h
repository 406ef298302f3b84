#pragma once

#include <cmath>
#include <vector>

#include "conformance.h"
#include "tolerance.h"

// What rope and rope_kv_append share.
namespace tenon::conformance {

// Frequencies of a rotary embedding with base 10000: inv_freq[j] = base^(-j / pairs).
inline Operand rope_frequencies(int64_t pairs) {
  std::vector<double> values;
  for (int64_t j = 0; j < pairs; ++j) {
    values.push_back(std::pow(10000.0, -static_cast<double>(j) / static_cast<double>(pairs)));
  }
  return floats(DType::F32, {pairs}, values);
}

// Appends the bounds of one rotated head. The angle is a product rounded in f32: u |angle|. cos and
// sin: kFunction, and slope 1. Two products, the sum and the scale: 3 u of |a| + |b|. Dims beyond
// the pairs are moved: exactly 0.
inline void add_rope_bounds(const double* head, int64_t head_dim, double position,
                            const std::vector<double>& inv_freq, bool interleaved, double scale,
                            std::vector<double>& bounds) {
  auto pairs = static_cast<int64_t>(inv_freq.size());
  for (int64_t dim = 0; dim < head_dim; ++dim) {
    if (dim >= 2 * pairs) {
      bounds.push_back(0);
      continue;
    }
    int64_t pair = interleaved ? dim / 2 : dim % pairs;
    double a = head[interleaved ? 2 * pair : pair],
           b = head[interleaved ? 2 * pair + 1 : pair + pairs];
    double angle = std::fabs(position * inv_freq[pair]);
    bounds.push_back((std::fabs(a) + std::fabs(b)) * std::fabs(scale) *
                     (kUnit * angle + kFunction + 3 * kUnit));
  }
}

}  // namespace tenon::conformance
