#include "ops/cast.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "conformance.h"

namespace tenon::conformance {
namespace {

Case make_case(const std::string& name, DType to, Operand x) {
  Case result{name, ops::to_attributes(ops::Cast{std::string(dtype_name(to))}), {}};
  result.inputs.push_back(std::move(x));
  return result;
}

// Values where rounding to f16 or bf16 is decided: ties to both sides, the last normal and first
// subnormal numbers, overflow, signed zeros, infinities and NaN.
const double kHard[] = {1 + 0x1p-11,
                        1 + 3 * 0x1p-11,
                        1 + 0x1p-11 + 0x1p-20,
                        1 + 0x1p-8,
                        1 + 3 * 0x1p-8,
                        1 + 0x1p-8 + 0x1p-20,
                        -1 - 0x1p-8,
                        65504,
                        65519,
                        65520,
                        -65536,
                        0x1p-14,
                        0x1p-14 - 0x1p-26,
                        0x1p-24,
                        0x1p-25,
                        0x1.8p-25,
                        0x1p-26,
                        3.3e38,
                        0.0,
                        -0.0,
                        HUGE_VAL,
                        -HUGE_VAL,
                        std::numeric_limits<double>::quiet_NaN()};

TEST(Conformance, Cast) {
  Suite suite{.op = "cast", .cases = {}, .bounds = zero_bounds, .check = {}};
  constexpr DType kTypes[] = {DType::F32, DType::BF16, DType::F16};
  for (DType from : kTypes) {
    for (DType to : kTypes) {
      std::string name = std::string(dtype_name(from)) + "_" + std::string(dtype_name(to));
      Random random(name);
      suite.cases.push_back(make_case(name, to, random_floats(random, from, {17, 63})));
      suite.cases.push_back(make_case(name + "_even", to, random_floats(random, from, {17, 64})));
      suite.cases.push_back(make_case(name + "_one", to, random_floats(random, from, {1})));
      suite.cases.push_back(make_case(name + "_no_rows", to, random_floats(random, from, {0, 8})));
      suite.cases.push_back(
          make_case(name + "_rank_4", to, random_floats(random, from, {2, 3, 5, 7})));
      suite.cases.push_back(
          make_case(name + "_hard", to, floats(from, {std::ssize(kHard)}, kHard)));
      suite.cases.push_back(
          make_case(name + "_strided", to,
                    random_floats(random, from, {7, 33}, {.layout = Layout::StridedRows})));
    }
  }
  run_suite(suite);
}

}  // namespace
}  // namespace tenon::conformance
