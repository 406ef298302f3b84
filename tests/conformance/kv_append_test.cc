#include <gtest/gtest.h>

#include "conformance.h"
#include "ops/kv_cache.h"
#include "ragged_cases.h"

namespace tenon::conformance {
namespace {

struct Types {
  DType kv, cache;
};

Case make_case(const RaggedCase& ragged, int64_t block_size, int64_t kv_heads, int64_t head_dim,
               Types types, Layout layout) {
  std::string name =
      ragged.name + "_block" + std::to_string(block_size) + "_" + std::to_string(kv_heads) + "x" +
      std::to_string(head_dim) + "_" + std::string(dtype_name(types.kv)) + "_" +
      std::string(dtype_name(types.cache)) + (layout == Layout::StridedRows ? "_strided" : "");
  Random random(name);
  PagedBatch batch = make_random_paged_batch({.seqs = ragged.seqs,
                                              .kv_heads = kv_heads,
                                              .head_dim = head_dim,
                                              .block_size = block_size,
                                              .cache_dtype = types.cache,
                                              .holds_fresh = false},
                                             name);
  Case result{name, ops::to_attributes(ops::KvAppend{kv_heads, head_dim}), {}};
  result.output_count = 0;
  int64_t width = kv_heads * head_dim;
  for (int i = 0; i < 2; ++i) {
    result.inputs.push_back(
        random_floats(random, types.kv, {batch.tokens, width}, {.layout = layout})
            .in_bucket({batch.tokens + 11, width}));
  }
  add_ragged_inputs(result, batch);
  return result;
}

TEST(Conformance, KvAppend) {
  constexpr DType kF32 = DType::F32, kBf16 = DType::BF16, kF16 = DType::F16;
  Suite suite{.op = "kv_append", .cases = {}, .bounds = zero_bounds, .check = {}};
  for (const RaggedCase& ragged : ragged_cases()) {
    for (int64_t block_size : {1, 16, 0}) {
      suite.cases.push_back(make_case(ragged, block_size, 2, 20, {kF32, kF32}, Layout::Contiguous));
    }
    for (Types types :
         {Types{kF32, kBf16}, {kBf16, kBf16}, {kF16, kF16}, {kBf16, kF16}, {kF32, kF16}}) {
      suite.cases.push_back(make_case(ragged, 16, 3, 17, types, Layout::Contiguous));
    }
    suite.cases.push_back(make_case(ragged, 16, 1, 64, {kF32, kBf16}, Layout::StridedRows));
  }
  run_suite(suite);
}

}  // namespace
}  // namespace tenon::conformance
