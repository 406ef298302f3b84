#include "ops/gather_rows.h"

#include <gtest/gtest.h>

#include "conformance.h"

namespace tenon::conformance {
namespace {

TEST(Conformance, GatherRows) {
  struct Form {
    Extents extents;
    std::vector<int32_t> rows;
    Layout layout = Layout::Contiguous;
  };
  const std::vector<Form> forms = {
      {{17, 63}, {16, 0, 3, 3, 9}},
      {{17, 63}, {5}},
      {{17, 64}, {16, 0, 3, 3, 9}},
      {{1, 1}, {0, 0, 0}},
      {{127, 257}, {126, 1}},
      {{17, 63}, {}},
      {{0, 63}, {}},
      {{17, 63}, {2, 15, 2}, Layout::StridedRows},
  };
  Suite suite{.op = "gather_rows", .cases = {}, .bounds = zero_bounds, .check = {}};
  for (DType dtype : {DType::F32, DType::BF16, DType::F16}) {
    for (const Form& form : forms) {
      std::string name = std::string(dtype_name(dtype)) + form.extents.to_string() + "_" +
                         std::to_string(form.rows.size()) +
                         (form.layout == Layout::StridedRows ? "_strided" : "");
      Random random(name);
      Case result{name, ops::to_attributes(ops::GatherRows{}), {}};
      result.inputs.push_back(random_floats(random, dtype, form.extents, {.layout = form.layout})
                                  .in_bucket({form.extents[0] + 8, form.extents[1]}));
      result.inputs.push_back(ints(form.rows).in_bucket({std::ssize(form.rows) + 1}));
      suite.cases.push_back(std::move(result));
    }
  }
  run_suite(suite);
}

}  // namespace
}  // namespace tenon::conformance
