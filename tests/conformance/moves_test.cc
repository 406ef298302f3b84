// Ops that only move elements: transpose, reshape, concat, pad.
#include <gtest/gtest.h>

#include "conformance.h"
#include "ops/concat.h"
#include "ops/pad.h"
#include "ops/reshape.h"
#include "ops/transpose.h"

namespace tenon::conformance {
namespace {

constexpr DType kTypes[] = {DType::F32, DType::BF16, DType::F16};
constexpr Layout kLayouts[] = {Layout::Contiguous, Layout::StridedRows};

std::string name_of(DType dtype, const Extents& extents, Layout layout) {
  return std::string(dtype_name(dtype)) + extents.to_string() +
         (layout == Layout::StridedRows ? "_strided" : "");
}

TEST(Conformance, Transpose) {
  struct Form {
    Extents extents;
    std::vector<int64_t> permutation;
  };
  const std::vector<Form> forms = {{{17, 63}, {1, 0}},
                                   {{17, 63}, {0, 1}},
                                   {{3, 5, 31}, {2, 0, 1}},
                                   {{2, 3, 5, 8}, {0, 2, 1, 3}},
                                   {{2, 3, 4, 2, 7}, {0, 3, 1, 4, 2}},
                                   {{5, 14, 5, 14, 16}, {0, 2, 1, 3, 4}},
                                   {{3, 4, 5, 2, 2}, {0, 1, 3, 2, 4}},
                                   {{3, 5, 2, 8}, {0, 2, 1, 3}},
                                   {{4, 7, 3}, {1, 0, 2}},
                                   {{0, 12}, {1, 0}},
                                   {{1, 1}, {1, 0}},
                                   {{9}, {0}},
                                   {{64, 130}, {1, 0}}};
  Suite suite{.op = "transpose", .cases = {}, .bounds = zero_bounds, .check = {}};
  for (DType dtype : kTypes) {
    for (const Form& form : forms) {
      for (Layout layout : kLayouts) {
        std::string name = name_of(dtype, form.extents, layout) + "_by";
        for (int64_t axis : form.permutation) name += "_" + std::to_string(axis);
        Random random(name);
        Case result{name, ops::to_attributes(ops::Transpose{form.permutation}), {}};
        result.inputs.push_back(random_floats(random, dtype, form.extents, {.layout = layout}));
        suite.cases.push_back(std::move(result));
      }
    }
  }
  run_suite(suite);
}

TEST(Conformance, Reshape) {
  struct Form {
    Extents extents;
    std::vector<std::string> shape;
  };
  const std::vector<Form> forms = {{{6, 20}, {"8", "15"}},      {{17, 63}, {"1071"}},
                                   {{2, 3, 5, 7}, {"6", "35"}}, {{30}, {"2", "3", "5"}},
                                   {{0, 12}, {"3", "0", "4"}},  {{64, 64}, {"64", "64"}},
                                   {{1}, {"1", "1", "1"}}};
  Suite suite{.op = "reshape", .cases = {}, .bounds = zero_bounds, .check = {}};
  for (DType dtype : kTypes) {
    for (const Form& form : forms) {
      for (Layout layout : kLayouts) {
        std::string name = name_of(dtype, form.extents, layout) + "_to";
        for (const std::string& dim : form.shape) name += "_" + dim;
        Random random(name);
        Case result{name, ops::to_attributes(ops::Reshape{form.shape}), {}};
        result.inputs.push_back(random_floats(random, dtype, form.extents, {.layout = layout}));
        suite.cases.push_back(std::move(result));
      }
    }
  }
  run_suite(suite);
}

TEST(Conformance, Concat) {
  struct Form {
    std::vector<Extents> parts;
    int64_t axis;
  };
  const std::vector<Form> forms = {{{{3, 17}, {5, 17}}, 0},
                                   {{{7, 3}, {7, 1}, {7, 13}}, 1},
                                   {{{2, 5, 31}, {2, 2, 31}, {2, 1, 31}}, 1},
                                   {{{1, 5, 8}, {3, 2, 8}}, 1},
                                   {{{3, 2, 8}, {1, 5, 8}, {1, 1, 8}}, 1},
                                   {{{0, 12}, {2, 12}}, 0},
                                   {{{4, 9}}, 1},
                                   {{{12}, {1}}, 0}};
  Suite suite{.op = "concat", .cases = {}, .bounds = zero_bounds, .check = {}};
  for (DType dtype : kTypes) {
    for (const Form& form : forms) {
      for (Layout layout : kLayouts) {
        std::string name = "axis" + std::to_string(form.axis);
        for (const Extents& part : form.parts) name += "_" + name_of(dtype, part, layout);
        Random random(name);
        Case result{name, ops::to_attributes(ops::Concat{form.axis}), {}};
        for (const Extents& part : form.parts) {
          result.inputs.push_back(random_floats(random, dtype, part, {.layout = layout}));
        }
        suite.cases.push_back(std::move(result));
      }
    }
  }
  run_suite(suite);
}

TEST(Conformance, Pad) {
  struct Form {
    Extents extents;
    std::vector<int64_t> before, after;
    double value;
  };
  const std::vector<Form> forms = {{{1, 8, 8, 5}, {0, 0, 0, 0}, {0, 6, 6, 0}, 0.0},
                                   {{17, 63}, {1, 2}, {3, 4}, 0.0},
                                   {{17, 63}, {0, 0}, {0, 0}, 1.0},
                                   {{3, 5, 7}, {0, 1, 0}, {2, 0, 3}, -1.5},
                                   {{0, 4}, {2, 0}, {1, 0}, 0.5},
                                   {{9}, {4}, {0}, 2.0}};
  Suite suite{.op = "pad", .cases = {}, .bounds = zero_bounds, .check = {}};
  for (DType dtype : kTypes) {
    for (const Form& form : forms) {
      for (Layout layout : kLayouts) {
        std::string name = name_of(dtype, form.extents, layout) + "_by";
        for (int64_t count : form.before) name += "_" + std::to_string(count);
        for (int64_t count : form.after) name += "_" + std::to_string(count);
        Random random(name);
        Case result{name, ops::to_attributes(ops::Pad{form.before, form.after, form.value}), {}};
        result.inputs.push_back(random_floats(random, dtype, form.extents, {.layout = layout}));
        suite.cases.push_back(std::move(result));
      }
    }
  }
  run_suite(suite);
}

}  // namespace
}  // namespace tenon::conformance
