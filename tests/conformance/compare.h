#pragma once

#include <string>
#include <vector>

#include "operand.h"

namespace tenon::conformance {

// What comparing found: the problems, and how much of the derived bounds was used up. A share near
// 1 says the kernel computes just so; a share far below says that the bound is a worst case.
struct Comparison {
  std::vector<std::string> problems;
  double worst_share = 0;
  void add(const Comparison& other);
};

// Compares one element by the rule of tolerance.h. A problem has no place yet.
Comparison compare_element(DType dtype, double got, double exact, double bound);

// `exact` is f64 of the same extents; `bounds` has one entry an element. One problem at most: the
// first wrong element and how many there are.
Comparison compare(const std::string& what, const TensorView& got, const TensorView& exact,
                   const std::vector<double>& bounds);

// Elements that are the same in `exact_before` and `exact_after` must keep the bits of `before`;
// the others are compared.
Comparison compare_state(const TensorView& before, const TensorView& after,
                         const TensorView& exact_before, const TensorView& exact_after,
                         const std::vector<double>& bounds);

}  // namespace tenon::conformance
