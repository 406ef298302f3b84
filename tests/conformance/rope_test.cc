#include "ops/rope.h"

#include <gtest/gtest.h>

#include "rope_cases.h"

namespace tenon::conformance {
namespace {

struct RopeCase {
  std::string name;
  std::vector<int32_t> positions;
  int64_t heads, head_dim, pairs;
  bool interleaved = false;
  double scale = 1.0;
  DType dtype = DType::F32;
  Layout layout = Layout::Contiguous;
};

Bounds bounds(const Case& test_case, const Exact&) {
  ops::Rope op = ops::read_attributes<ops::Rope>(test_case.attributes);
  std::vector<double> x = values_of(test_case.inputs[0]), inv_freq = values_of(test_case.inputs[2]);
  std::vector<int32_t> positions = ints_of(test_case.inputs[1]);
  int64_t columns = test_case.inputs[0].view.columns();
  Bounds bounds(1);
  for (size_t first = 0; first < x.size(); first += op.head_dim) {
    add_rope_bounds(&x[first], op.head_dim, positions[first / columns], inv_freq, op.interleaved,
                    op.scale, bounds[0]);
  }
  return bounds;
}

TEST(Conformance, Rope) {
  std::vector<RopeCase> forms = {
      {"full", {0, 1, 2, 17, 63}, 3, 16, 8},
      {"one_pair", {5}, 1, 2, 1},
      {"partial", {0, 1, 100}, 2, 20, 5},
      {"head_64", {1, 2, 3, 127, 4095}, 5, 64, 32},
      {"head_80_partial", {7, 9}, 3, 80, 16},
      {"scaled", {3, 4}, 2, 32, 16, false, 1.1386},
      {"far", {131071, 1000003}, 2, 64, 32},
      {"no_tokens", {}, 4, 32, 16},
      {"nothing_rotated", {3, 4}, 2, 8, 0},
      {"strided", {3, 4, 40}, 2, 24, 12, false, 1.0, DType::F32, Layout::StridedRows},
  };
  Suite suite{.op = "rope", .cases = {}, .bounds = bounds, .check = {}};
  for (const RopeCase& form : forms) {
    for (bool interleaved : {false, true}) {
      for (DType dtype : {DType::F32, DType::BF16, DType::F16}) {
        std::string name =
            form.name + "_" + std::string(dtype_name(dtype)) + (interleaved ? "_interleaved" : "");
        Random random(name);
        Case result{
            name, ops::to_attributes(ops::Rope{form.head_dim, interleaved, form.scale}), {}};
        int64_t tokens = std::ssize(form.positions), width = form.heads * form.head_dim;
        result.inputs.push_back(
            random_floats(random, dtype, {tokens, width}, {.layout = form.layout})
                .in_bucket({tokens + 13, width}));
        result.inputs.push_back(ints(form.positions).in_bucket({tokens + 13}));
        result.inputs.push_back(rope_frequencies(form.pairs));
        suite.cases.push_back(std::move(result));
      }
    }
  }
  run_suite(suite);
}

}  // namespace
}  // namespace tenon::conformance
