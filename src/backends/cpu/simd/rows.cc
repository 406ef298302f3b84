#include "backends/cpu/isa.h"
#include "backends/cpu/simd/vec.h"
#include "backends/cpu/simd/vector_math.h"

namespace tenon::cpu::TENON_ISA {
namespace {

void load_row(DType dtype, const void* from, int64_t n, float* to) {
  with_format(dtype, [&]<class Format>(Format) {
    auto* p = static_cast<const typename Format::Element*>(from);
    for_vectors(
        n, [&](int64_t i, int64_t lanes) { put<AsF32>(to + i, get<Format>(p + i, lanes), lanes); });
  });
}

void store_row(DType dtype, const float* from, int64_t n, void* to) {
  with_format(dtype, [&]<class Format>(Format) {
    auto* p = static_cast<typename Format::Element*>(to);
    for_vectors(n, [&](int64_t i, int64_t lanes) {
      put<Format>(p + i, get<AsF32>(from + i, lanes), lanes);
    });
  });
}

void accumulate_row(DType dtype, const void* from, int64_t n, float* to) {
  with_format(dtype, [&]<class Format>(Format) {
    auto* p = static_cast<const typename Format::Element*>(from);
    for_vectors(n, [&](int64_t i, int64_t lanes) {
      put<AsF32>(to + i, add(get<AsF32>(to + i, lanes), get<Format>(p + i, lanes)), lanes);
    });
  });
}

template <class Function>
void map_row(float* row, int64_t n, Function f) {
  for_vectors(n, [&](int64_t i, int64_t lanes) {
    put<AsF32>(row + i, f(get<AsF32>(row + i, lanes)), lanes);
  });
}

void activate_row(Activation kind, int64_t n, float* row) {
  switch (kind) {
    case Activation::None:
      return;
    case Activation::GeluErf:
      return map_row(row, n, [](F x) { return gelu_erf(x); });
    case Activation::GeluTanh:
      return map_row(row, n, [](F x) { return gelu_tanh(x); });
    case Activation::QuickGelu:
      return map_row(row, n, [](F x) { return mul(x, sigmoid(mul(x, set(1.702f)))); });
    case Activation::Silu:
      return map_row(row, n, [](F x) { return mul(x, sigmoid(x)); });
    // max(0, x) and not max(x, 0): a NaN stays a NaN.
    case Activation::Relu:
      return map_row(row, n, [](F x) { return max(zero(), x); });
    case Activation::Tanh:
      return map_row(row, n, [](F x) { return tanh(x); });
    case Activation::Sigmoid:
      return map_row(row, n, [](F x) { return sigmoid(x); });
    case Activation::Exp:
      return map_row(row, n, [](F x) { return exp(x); });
    case Activation::Neg:
      return map_row(row, n, [](F x) { return negate(x); });
  }
}

template <class Function>
void combine_with(const float* a, const float* b, int64_t n, float* to, Function f) {
  for_vectors(n, [&](int64_t i, int64_t lanes) {
    put<AsF32>(to + i, f(get<AsF32>(a + i, lanes), get<AsF32>(b + i, lanes)), lanes);
  });
}

void combine_rows(Arithmetic kind, const float* a, const float* b, int64_t n, float* to) {
  switch (kind) {
    case Arithmetic::Add:
      return combine_with(a, b, n, to, [](F x, F y) { return add(x, y); });
    case Arithmetic::Sub:
      return combine_with(a, b, n, to, [](F x, F y) { return sub(x, y); });
    case Arithmetic::Mul:
      return combine_with(a, b, n, to, [](F x, F y) { return mul(x, y); });
    case Arithmetic::Div:
      return combine_with(a, b, n, to, [](F x, F y) { return div(x, y); });
  }
}

// Four accumulators hide the latency of the addition and shorten each sum.
template <class Function>
float sum_of(const float* row, int64_t n, Function f) {
  F sums[4] = {zero(), zero(), zero(), zero()};
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) sums[j] = f(load(row + i + j * kLanes), sums[j]);
  }
  for (; i + kLanes <= n; i += kLanes) sums[0] = f(load(row + i), sums[0]);
  float rest = 0;
  for (; i < n; ++i) {
    // One lane at a time: a zero-filled lane would count as (0 - centre)^2.
    rest += reduce_add(f(set(row[i]), zero())) / kLanes;
  }
  return reduce_add(add(add(sums[0], sums[1]), add(sums[2], sums[3]))) + rest;
}

float sum_row(const float* row, int64_t n) {
  return sum_of(row, n, [](F x, F sum) { return add(x, sum); });
}

float sum_squares_row(const float* row, int64_t n, float centre) {
  F c = set(centre);
  return sum_of(row, n, [c](F x, F sum) {
    F d = sub(x, c);
    return fma(d, d, sum);
  });
}

void normalise_row(const float* row, int64_t n, float centre, float factor, const float* weight,
                   const float* bias, float* to) {
  F c = set(centre), f = set(factor);
  for_vectors(n, [&](int64_t i, int64_t lanes) {
    F y = mul(mul(sub(get<AsF32>(row + i, lanes), c), f), get<AsF32>(weight + i, lanes));
    if (bias) y = add(y, get<AsF32>(bias + i, lanes));
    put<AsF32>(to + i, y, lanes);
  });
}

void scale_row(float* row, int64_t n, float factor) {
  map_row(row, n, [f = set(factor)](F x) { return mul(x, f); });
}

float largest_in_row(const float* row, int64_t n) {
  F low = set(-__builtin_inff()), top = low;
  int64_t i = 0;
  // The operand order drops NaN.
  for (; i + kLanes <= n; i += kLanes) top = max(load(row + i), top);
  float result = reduce_max(top);
  for (; i < n; ++i) result = row[i] > result ? row[i] : result;
  return result;
}

float exp_sum_row(float* row, int64_t n, float centre) {
  F c = set(centre), sums[2] = {zero(), zero()};
  int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
#pragma GCC unroll 2
    for (int j = 0; j < 2; ++j) {
      F e = exp(sub(load(row + i + j * kLanes), c));
      store(row + i + j * kLanes, e);
      sums[j] = add(sums[j], e);
    }
  }
  float rest = 0;
  for (; i < n; i += kLanes) {
    int64_t lanes = n - i < kLanes ? n - i : kLanes;
    store(row + i, exp(sub(load(row + i, lanes), c)), lanes);
    rest += reduce_add(load(row + i, lanes));
  }
  return reduce_add(add(sums[0], sums[1])) + rest;
}

void softcap_row(float* row, int64_t n, float cap) {
  map_row(row, n, [c = set(cap)](F x) { return mul(c, tanh(div(x, c))); });
}

void rotate_rows(float* a, float* b, const float* cosine, const float* sine, int64_t n) {
  for_vectors(n, [&](int64_t i, int64_t lanes) {
    F x = get<AsF32>(a + i, lanes), y = get<AsF32>(b + i, lanes);
    F c = get<AsF32>(cosine + i, lanes), s = get<AsF32>(sine + i, lanes);
    put<AsF32>(a + i, sub(mul(x, c), mul(y, s)), lanes);
    put<AsF32>(b + i, add(mul(y, c), mul(x, s)), lanes);
  });
}

}  // namespace

const RowKernels kRows = {
    .load = load_row,
    .store = store_row,
    .accumulate = accumulate_row,
    .activate = activate_row,
    .combine = combine_rows,
    .sum = sum_row,
    .sum_squares = sum_squares_row,
    .normalise = normalise_row,
    .scale = scale_row,
    .largest = largest_in_row,
    .exp_sum = exp_sum_row,
    .softcap = softcap_row,
    .rotate = rotate_rows,
};

}  // namespace tenon::cpu::TENON_ISA
