#include "ops/embedding.h"

#include <gtest/gtest.h>

#include "conformance.h"

namespace tenon::conformance {
namespace {

TEST(Conformance, Embedding) {
  struct Form {
    std::string name;
    std::vector<int32_t> ids;
    int64_t vocab, hidden, embed_rows;  // embed_rows -1: absent
  };
  const std::vector<Form> forms = {
      {"one", {0}, 1, 1, -1},
      {"repeated", {3, 16, 3, 0, 9}, 17, 63, -1},
      {"wide", {126, 5}, 127, 1031, -1},
      {"even", {126, 5}, 127, 1032, -1},
      {"even_mixed", {4, -1, -3, 16}, 17, 64, 3},
      {"no_tokens", {}, 17, 63, -1},
      {"no_tokens_with_embeds", {}, 17, 63, 2},
      {"no_embeds_given", {4, 2}, 17, 63, 0},
      {"mixed", {4, -1, -3, 16, -1, -2}, 17, 65, 3},
      {"embeds_only", {-2, -1}, 17, 31, 2},
  };
  Suite suite{.op = "embedding", .cases = {}, .bounds = zero_bounds, .check = {}};
  for (DType table : {DType::F32, DType::BF16, DType::F16}) {
    for (DType y : {DType::F32, DType::BF16, DType::F16}) {
      for (const Form& form : forms) {
        std::string name =
            form.name + "_" + std::string(dtype_name(table)) + "_" + std::string(dtype_name(y));
        Random random(name);
        Case result{name, ops::to_attributes(ops::Embedding{std::string(dtype_name(y))}), {}};
        result.inputs.push_back(ints(form.ids).in_bucket({std::ssize(form.ids) + 30}));
        result.inputs.push_back(random_floats(random, table, {form.vocab, form.hidden}));
        result.inputs.push_back(
            form.embed_rows < 0 ? absent()
                                : random_floats(random, DType::F32, {form.embed_rows, form.hidden})
                                      .in_bucket({form.embed_rows + 4, form.hidden}));
        suite.cases.push_back(std::move(result));
      }
    }
  }
  run_suite(suite);
}

}  // namespace
}  // namespace tenon::conformance
