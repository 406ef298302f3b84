#include "ops/binary.h"

#include <gtest/gtest.h>

#include <cmath>

#include "conformance.h"
#include "tolerance.h"

namespace tenon::conformance {
namespace {

// One operation in f32: u |y|.
Bounds bounds(const Case&, const Exact& exact) {
  Bounds bounds(1);
  for (double y : values_of(exact.outputs[0].view())) bounds[0].push_back(kUnit * std::fabs(y));
  return bounds;
}

struct BinaryCase {
  Extents a, b;
  DType a_type = DType::F32, b_type = DType::F32, y_type = DType::F32;
  Layout layout = Layout::Contiguous;
};

TEST(Conformance, Binary) {
  constexpr DType kF32 = DType::F32, kBf16 = DType::BF16, kF16 = DType::F16;
  const std::vector<BinaryCase> forms = {
      {{1}, {1}},
      {{17, 63}, {17, 63}},
      {{17, 63}, {63}},
      {{63}, {17, 63}},
      {{17, 63}, {17, 1}},
      {{17, 1}, {1, 63}},
      {{3, 1, 5}, {7, 1}},
      {{2, 3, 31}, {1}},
      {{2, 3, 31}, {}},
      {{0, 64}, {64}},
      {{17, 64}, {17, 64}},
      {{17, 64}, {64}},
      {{64}, {17, 64}},
      {{2, 1, 64}, {3, 64}},
      {{600, 1024}, {600, 1024}},
      {{17, 64}, {17, 64}, kBf16, kBf16, kBf16},
      {{17, 64}, {64}, kF32, kF16, kBf16},
      {{5, 127}, {5, 127}, kBf16, kBf16, kBf16},
      {{5, 127}, {5, 127}, kF32, kBf16, kF32},
      {{5, 127}, {5, 127}, kBf16, kF32, kBf16},
      {{5, 127}, {127}, kF16, kF16, kF16},
      {{5, 127}, {127}, kBf16, kF16, kF32},
      {{5, 63}, {5, 63}, kF32, kF32, kF32, Layout::StridedRows},
      {{5, 63}, {63}, kBf16, kF32, kF32, Layout::StridedRows},
  };
  Suite suite{.op = "binary", .cases = {}, .bounds = bounds, .check = {}};
  for (std::string_view kind : ops::kBinaryKinds) {
    for (const BinaryCase& form : forms) {
      std::string name = std::string(kind) + "_" + std::string(dtype_name(form.a_type)) +
                         form.a.to_string() + "_" + std::string(dtype_name(form.b_type)) +
                         form.b.to_string() +
                         (form.layout == Layout::StridedRows ? "_strided" : "");
      Random random(name);
      Case result{
          name,
          ops::to_attributes(ops::Binary{std::string(kind), std::string(dtype_name(form.y_type))}),
          {}};
      result.inputs.push_back(random_floats(random, form.a_type, form.a, {.layout = form.layout}));
      // Divisors stay away from 0, where f16 would overflow.
      result.inputs.push_back(random_floats(random, form.b_type, form.b,
                                            {.spread = 0.2, .offset = 1.5, .layout = form.layout}));
      suite.cases.push_back(std::move(result));
    }
  }
  run_suite(suite);
}

}  // namespace
}  // namespace tenon::conformance
