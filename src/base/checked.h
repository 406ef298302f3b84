#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/error.h"

namespace tenon {

// The one routine for sizes that come from outside. `what` names the quantity in the error.
// Throws ErrorCode::BadInput where the result does not fit, or an operand is negative.
template <class T>
T checked_add(T a, T b, std::string_view what) {
  T result;
  if (__builtin_add_overflow(a, b, &result) || result < T(0)) {
    throw Error(ErrorCode::BadInput, "size overflows").at(what);
  }
  return result;
}

template <class T>
T checked_mul(T a, T b, std::string_view what) {
  T result;
  if (a < T(0) || b < T(0) || __builtin_mul_overflow(a, b, &result)) {
    throw Error(ErrorCode::BadInput, "size overflows").at(what);
  }
  return result;
}

// Product of extents. Refuses a product that overflows midway even where a later extent is zero.
inline int64_t checked_product(std::span<const int64_t> extents, std::string_view what) {
  int64_t product = 1;
  for (int64_t extent : extents) {
    if (extent < 0) throw Error(ErrorCode::BadInput, "negative extent").at(what);
    if (extent > 0) product = checked_mul(product, extent, what);
  }
  for (int64_t extent : extents) {
    if (extent == 0) return 0;
  }
  return product;
}

// Narrows with a range check.
template <class To, class From>
To checked_cast(From value, std::string_view what) {
  To result = static_cast<To>(value);
  if (static_cast<From>(result) != value || (result < To(0)) != (value < From(0))) {
    throw Error(ErrorCode::BadInput, "number out of range").at(what).got(std::to_string(value));
  }
  return result;
}

inline int64_t round_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}
inline int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

}  // namespace tenon
