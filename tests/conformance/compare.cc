#include "compare.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "backends/reference/access.h"
#include "tolerance.h"

namespace tenon::conformance {
namespace {

double rounded_to(DType dtype, double value) {
  double memory = 0;
  TensorView cell(&memory, dtype, {});
  reference::store(cell, 0, value);
  return reference::load(cell, 0);
}

Comparison problem(const char* format, double a, double b, double c = 0, double d = 0) {
  char text[160];
  std::snprintf(text, sizeof text, format, a, b, c, d);
  return {{text}, 0};
}

}  // namespace

void Comparison::add(const Comparison& other) {
  problems.insert(problems.end(), other.problems.begin(), other.problems.end());
  worst_share = std::max(worst_share, other.worst_share);
}

Comparison compare_element(DType dtype, double got, double exact, double bound) {
  if (bound == 0 || !std::isfinite(exact)) {
    double wanted = rounded_to(dtype, exact);
    if (got == wanted || (std::isnan(got) && std::isnan(wanted))) return {};
    return problem("got %.9g, must be %.9g", got, wanted);
  }
  bound = bound * kSlack + kSmallestNormal;
  double rounding = half_ulp(dtype, std::fabs(exact) + bound), error = std::fabs(got - exact);
  if (error <= bound + rounding) return {{}, std::max(0.0, error - rounding) / bound};
  // Rounding may overflow a 16-bit type.
  double farthest = rounded_to(dtype, std::copysign(std::fabs(exact) + bound, exact));
  if (std::isinf(got) && got == farthest) return {};
  return problem("got %.9g, exact %.9g, error %.3g, allowed %.3g", got, exact, error,
                 bound + rounding);
}

Comparison compare(const std::string& what, const TensorView& got_view,
                   const TensorView& exact_view, const std::vector<double>& bounds) {
  std::vector<double> got = values_of(got_view), exact = values_of(exact_view);
  TENON_CHECK(bounds.size() == got.size() && exact.size() == got.size());
  Comparison all;
  std::string first;
  size_t wrong = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    Comparison element = compare_element(got_view.dtype, got[i], exact[i], bounds[i]);
    all.worst_share = std::max(all.worst_share, element.worst_share);
    if (element.problems.empty()) continue;
    if (wrong++ == 0) first = " element " + std::to_string(i) + ": " + element.problems[0];
  }
  if (wrong > 0) {
    all.problems.push_back(what + first + " (" + std::to_string(wrong) + " of " +
                           std::to_string(got.size()) + " wrong)");
  }
  return all;
}

Comparison compare_state(const TensorView& before, const TensorView& after,
                         const TensorView& exact_before, const TensorView& exact_after,
                         const std::vector<double>& bounds) {
  int64_t size = dtype_bits(after.dtype) / 8;
  std::vector<double> got = values_of(after);
  TENON_CHECK(bounds.size() == got.size() && exact_after.count() == after.count());
  Comparison all;
  for (int64_t i = 0; i < after.count() && all.problems.empty(); ++i) {
    const double *was = exact_before.as<double>() + i, *is = exact_after.as<double>() + i;
    std::string what = "state element " + std::to_string(i);
    if (std::memcmp(was, is, sizeof(double)) != 0) {
      Comparison element = compare_element(after.dtype, got[i], *is, bounds[i]);
      if (!element.problems.empty()) element.problems[0] = what + ": " + element.problems[0];
      all.add(element);
    } else if (std::memcmp(before.as<std::byte>() + i * size, after.as<std::byte>() + i * size,
                           size) != 0) {
      all.problems.push_back(what + " was changed and must not be");
    }
  }
  return all;
}

}  // namespace tenon::conformance
