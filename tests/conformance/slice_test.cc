#include "ops/slice.h"

#include <gtest/gtest.h>

#include "conformance.h"

namespace tenon::conformance {
namespace {

struct SliceCase {
  Extents extents;
  int64_t axis, begin, end;
};

TEST(Conformance, Slice) {
  const std::vector<SliceCase> forms = {
      {{17, 63}, 0, 3, 11},  {{17, 63}, 1, 5, 36},    {{17, 63}, 1, 0, 63},
      {{17, 63}, 0, 7, 7},   {{7}, 0, 6, 7},          {{2, 5, 31}, 0, 1, 2},
      {{2, 5, 31}, 1, 2, 5}, {{2, 5, 31}, 2, 30, 31}, {{3, 2, 4, 5}, 2, 1, 3},
      {{0, 12}, 1, 4, 8},    {{1, 1}, 0, 0, 1},       {{17, 96}, 1, 32, 64},
      {{17, 96}, 1, 33, 65},
  };
  Suite suite{.op = "slice", .cases = {}, .bounds = zero_bounds, .check = {}};
  for (DType dtype : {DType::F32, DType::BF16, DType::F16}) {
    for (const SliceCase& form : forms) {
      for (Layout layout : {Layout::Contiguous, Layout::StridedRows}) {
        std::string name = std::string(dtype_name(dtype)) + form.extents.to_string() + "_axis" +
                           std::to_string(form.axis) + "_" + std::to_string(form.begin) + ":" +
                           std::to_string(form.end) +
                           (layout == Layout::StridedRows ? "_strided" : "");
        Random random(name);
        Case result{name, ops::to_attributes(ops::Slice{form.axis, form.begin, form.end}), {}};
        result.inputs.push_back(random_floats(random, dtype, form.extents, {.layout = layout}));
        suite.cases.push_back(std::move(result));
      }
    }
  }
  run_suite(suite);
}

}  // namespace
}  // namespace tenon::conformance
