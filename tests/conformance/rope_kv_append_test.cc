#include <gtest/gtest.h>

#include "backends/reference/paged_cache.h"
#include "conformance.h"
#include "ops/kv_cache.h"
#include "ragged_cases.h"
#include "rope_cases.h"

namespace tenon::conformance {
namespace {

struct RopeKvCase {
  int64_t heads = 4, kv_heads = 2, head_dim = 16;
  int64_t pairs = 8;  // -1: no rotation
  bool interleaved = false;
  double scale = 1.0;
  int64_t block_size = 16;
  DType qkv = DType::F32, cache = DType::F32;
  const char* q = "";  // as qkv
  Layout layout = Layout::Contiguous;
};

// q and k as in rope; v is moved into the cache, so exactly rounded.
Bounds bounds(const Case& test_case, const Exact& exact) {
  ops::RopeKvAppend op = ops::read_attributes<ops::RopeKvAppend>(test_case.attributes);
  std::vector<double> qkv = values_of(test_case.inputs[0]),
                      inv_freq = values_of(test_case.inputs[2]);
  std::vector<int32_t> positions = ints_of(test_case.inputs[1]);
  int64_t width = test_case.inputs[0].view.columns();
  Bounds bounds(1);
  // Bounds of the cache, in its own layout: written as if they were keys.
  Tensor cache = Tensor::make_zeros(DType::F64, exact.state_after.extents());
  reference::PagedCache paged{cache, test_case.inputs[5].view};
  auto token = [&](int64_t t, int64_t seq, int64_t position) {
    std::vector<double> row;
    for (int64_t head = 0; head < op.heads + op.kv_heads; ++head) {
      add_rope_bounds(&qkv[t * width + head * op.head_dim], op.head_dim, positions[t], inv_freq,
                      op.interleaved, op.scale, row);
    }
    int64_t q_width = op.heads * op.head_dim;
    bounds[0].insert(bounds[0].end(), row.begin(), row.begin() + q_width);
    paged.set_token(reference::CachePart::K, seq, position, row, q_width);
  };
  reference::for_each_token(test_case.inputs[3].view, test_case.inputs[4].view, token);
  bounds.push_back(values_of(cache.view()));
  return bounds;
}

Case make_case(const RaggedCase& ragged, const RopeKvCase& c) {
  std::string name =
      ragged.name + "_" + std::to_string(c.heads) + ":" + std::to_string(c.kv_heads) + "x" +
      std::to_string(c.head_dim) + "_pairs" + std::to_string(c.pairs) + "_block" +
      std::to_string(c.block_size) + "_" + std::string(dtype_name(c.qkv)) + "_" +
      std::string(dtype_name(c.cache)) + (c.interleaved ? "_interleaved" : "") +
      (*c.q ? std::string("_q_") + c.q : "") + (c.layout == Layout::StridedRows ? "_strided" : "");
  Random random(name);
  PagedBatch batch = make_random_paged_batch({.seqs = ragged.seqs,
                                              .kv_heads = c.kv_heads,
                                              .head_dim = c.head_dim,
                                              .block_size = c.block_size,
                                              .cache_dtype = c.cache,
                                              .holds_fresh = false},
                                             name);
  Case result{name,
              ops::to_attributes(
                  ops::RopeKvAppend{c.heads, c.kv_heads, c.head_dim, c.interleaved, c.scale, c.q}),
              {}};
  int64_t width = (c.heads + 2 * c.kv_heads) * c.head_dim;
  result.inputs.push_back(random_floats(random, c.qkv, {batch.tokens, width}, {.layout = c.layout})
                              .in_bucket({batch.tokens + 11, width}));
  result.inputs.push_back(from_tensor(batch.positions).in_bucket({batch.tokens + 11}));
  result.inputs.push_back(c.pairs < 0 ? absent() : rope_frequencies(c.pairs));
  add_ragged_inputs(result, batch);
  return result;
}

TEST(Conformance, RopeKvAppend) {
  constexpr DType kF32 = DType::F32, kBf16 = DType::BF16, kF16 = DType::F16;
  const std::vector<RopeKvCase> forms = {
      {},
      {.block_size = 1},
      {.block_size = 0},
      {.heads = 1, .kv_heads = 1, .head_dim = 2, .pairs = 1},
      {.heads = 3, .kv_heads = 3, .head_dim = 20, .pairs = 5},
      {.interleaved = true},
      {.heads = 6, .kv_heads = 2, .head_dim = 64, .pairs = 16, .interleaved = true, .scale = 1.25},
      {.heads = 2, .kv_heads = 1, .head_dim = 17, .pairs = -1},
      {.cache = kBf16},
      {.qkv = kBf16, .cache = kBf16},
      {.qkv = kF16, .cache = kF16},
      {.heads = 8, .kv_heads = 1, .head_dim = 32, .pairs = 16, .qkv = kBf16, .cache = kF16},
      {.pairs = -1, .qkv = kBf16, .cache = kF32},
      {.cache = kF16, .q = "f16"},
      {.heads = 8, .kv_heads = 2, .head_dim = 64, .pairs = 32, .cache = kBf16, .q = "bf16"},
      {.pairs = -1, .cache = kF16, .q = "f16"},
      {.cache = kF16, .layout = Layout::StridedRows},
  };
  Suite suite{.op = "rope_kv_append", .cases = {}, .bounds = bounds, .check = {}};
  for (const RaggedCase& ragged : ragged_cases()) {
    for (const RopeKvCase& form : forms) suite.cases.push_back(make_case(ragged, form));
  }
  run_suite(suite);
}

}  // namespace
}  // namespace tenon::conformance
