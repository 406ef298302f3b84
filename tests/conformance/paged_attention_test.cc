#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "backends/reference/paged_cache.h"
#include "conformance.h"
#include "ops/kv_cache.h"
#include "ragged_cases.h"
#include "tolerance.h"

namespace tenon::conformance {
namespace {

using reference::CachePart;

// Bounds of one head of one token over n positions, n = position - begin + 1:
// - a score z = scale q.k: e = scale (D + 2) u sum |q k| + u |z|; softcap has slope <= 1 and adds
// its
//   tanh and three operations.
// - a softmax weight exp(z - m), relative: e, u |z - m| for the difference, kFunction; m is the
// same
//   for all, whatever it is.
// - online softmax rescales earlier weights whenever the running maximum grows. The maxima of tiles
//   are among the records of z, so the rescales number at most the records in cache order; eight
//   more for combining parts. Each costs kFunction + 2 u + u |step|, and the steps add up to at
//   most max z - min z.
// - numerator and denominator are sums of n terms: relative (n + 2) u each; then one division.
// The weights' errors enter the numerator each with its own value, the denominator as their mean.
// - where q and the cache are f16, tensor cores may multiply weights rounded to f16, in units of
// the
//   largest: relative 2^-11, or 2^-25 of the largest where they are subnormal. Only in the
//   numerator.
class HeadBounds {
 public:
  HeadBounds(const ops::PagedAttention& op, const reference::PagedCache& cache, const double* q,
             int64_t kv_head, int64_t seq, int64_t position, bool rounds_weights)
      : op_(op),
        cache_(cache),
        q_(q),
        kv_head_(kv_head),
        seq_(seq),
        end_(position + 1),
        rounds_weights_(rounds_weights) {
    begin_ = op.window > 0 ? std::max<int64_t>(0, end_ - op.window) : 0;
    for (int64_t p = begin_; p < end_; ++p) add_score(p);
    add_softmax_errors();
  }

  double of_dim(int64_t dim) const {
    double bound = 0, result = 0;
    for (int64_t p = begin_; p < end_; ++p) {
      double v = cache_.get(CachePart::V, seq_, kv_head_, p, dim);
      bound += weights_[p - begin_] * std::fabs(v) *
               (errors_[p - begin_] + mean_error_ + roundings_[p - begin_]);
      result += weights_[p - begin_] * v;
    }
    return bound + kUnit * std::fabs(result);
  }

 private:
  void add_score(int64_t p) {
    double z = 0, magnitude = 0;
    for (int64_t dim = 0; dim < op_.head_dim; ++dim) {
      double product = q_[dim] * cache_.get(CachePart::K, seq_, kv_head_, p, dim);
      z += product;
      magnitude += std::fabs(product);
    }
    z *= op_.scale;
    double error = op_.scale * static_cast<double>(op_.head_dim + 2) * kUnit * magnitude +
                   kUnit * std::fabs(z);
    if (op_.softcap > 0) {
      z = op_.softcap * std::tanh(z / op_.softcap);
      error += (kFunction + 3 * kUnit) * std::fabs(z);
    }
    weights_.push_back(z);
    errors_.push_back(error);
  }

  void add_softmax_errors() {
    auto n = static_cast<double>(weights_.size());
    double largest = weights_[0], smallest = weights_[0], records = 8;
    for (double z : weights_) {
      if (z > largest) ++records;
      largest = std::max(largest, z);
      smallest = std::min(smallest, z);
    }
    double common = kFunction + records * (kFunction + 2 * kUnit) + kUnit * (largest - smallest) +
                    (n + 2) * kUnit;
    double sum = 0;
    for (size_t i = 0; i < weights_.size(); ++i) {
      errors_[i] += common + kUnit * (largest - weights_[i]);
      sum += weights_[i] = std::exp(weights_[i] - largest);
      // 2^-25 of the largest weight, in units of this one; one that is 0 in f32 adds nothing.
      double subnormal = weights_[i] > kSmallestNormal ? 0x1p-25 / weights_[i] : 0;
      roundings_.push_back(rounds_weights_ ? 0x1p-11 + subnormal : 0);
    }
    mean_error_ = 0;
    for (size_t i = 0; i < weights_.size(); ++i) mean_error_ += (weights_[i] /= sum) * errors_[i];
  }

  const ops::PagedAttention& op_;
  const reference::PagedCache& cache_;
  const double* q_;
  int64_t kv_head_, seq_, begin_ = 0, end_;
  bool rounds_weights_;
  std::vector<double> weights_, errors_, roundings_;
  double mean_error_ = 0;
};

Bounds bounds(const Case& test_case, const Exact& exact) {
  ops::PagedAttention op = ops::read_attributes<ops::PagedAttention>(test_case.attributes);
  std::vector<double> q = values_of(test_case.inputs[0]);
  reference::PagedCache cache{test_case.inputs[4].view, test_case.inputs[3].view};
  bool rounds_weights =
      test_case.inputs[0].view.dtype == DType::F16 && test_case.inputs[4].view.dtype == DType::F16;
  Bounds bounds(2);
  auto token = [&](int64_t t, int64_t seq, int64_t position) {
    for (int64_t head = 0; head < op.heads; ++head) {
      HeadBounds of_head(op, cache, &q[(t * op.heads + head) * op.head_dim],
                         head / (op.heads / op.kv_heads), seq, position, rounds_weights);
      for (int64_t dim = 0; dim < op.head_dim; ++dim) bounds[0].push_back(of_head.of_dim(dim));
    }
  };
  reference::for_each_token(test_case.inputs[1].view, test_case.inputs[2].view, token);
  bounds[1].assign(exact.state_after.count(), 0.0);  // reads only
  return bounds;
}

struct AttentionCase {
  int64_t heads = 4, kv_heads = 2, head_dim = 16, window = 0;
  double softcap = 0;
  int64_t block_size = 16;
  DType q = DType::F32, cache = DType::F32;
  const char* out = "";  // q's
  double spread = 1.0;   // of q and k: large ones make the softmax one-hot
  Layout layout = Layout::Contiguous;
};

Case make_case(const RaggedCase& ragged, const AttentionCase& c) {
  std::string name =
      ragged.name + "_" + std::to_string(c.heads) + ":" + std::to_string(c.kv_heads) + "x" +
      std::to_string(c.head_dim) + "_block" + std::to_string(c.block_size) + "_" +
      std::string(dtype_name(c.q)) + "_" + std::string(dtype_name(c.cache)) +
      (c.window ? "_window" + std::to_string(c.window) : "") + (c.softcap > 0 ? "_softcap" : "") +
      (c.spread != 1 ? "_peaked" : "") + (*c.out ? std::string("_to_") + c.out : "") +
      (c.layout == Layout::StridedRows ? "_strided" : "");
  Random random(name);
  PagedBatch batch = make_random_paged_batch({.seqs = ragged.seqs,
                                              .kv_heads = c.kv_heads,
                                              .head_dim = c.head_dim,
                                              .block_size = c.block_size,
                                              .cache_dtype = c.cache,
                                              .k_spread = c.spread},
                                             name);
  double scale = 1 / std::sqrt(static_cast<double>(c.head_dim));
  Case result{name,
              ops::to_attributes(ops::PagedAttention{c.heads, c.kv_heads, c.head_dim, c.window,
                                                     scale, c.softcap, c.out}),
              {}};
  int64_t width = c.heads * c.head_dim;
  result.inputs.push_back(
      random_floats(random, c.q, {batch.tokens, width}, {.spread = c.spread, .layout = c.layout})
          .in_bucket({batch.tokens + 11, width}));
  add_ragged_inputs(result, batch);
  return result;
}

TEST(Conformance, PagedAttention) {
  constexpr DType kF32 = DType::F32, kBf16 = DType::BF16, kF16 = DType::F16;
  const std::vector<AttentionCase> forms = {
      {},
      {.block_size = 1},
      {.block_size = 0},
      {.heads = 1, .kv_heads = 1, .head_dim = 1},
      {.heads = 3, .kv_heads = 3, .head_dim = 17},
      {.heads = 6, .kv_heads = 1, .head_dim = 40},
      {.heads = 4, .kv_heads = 2, .head_dim = 64, .cache = kBf16},
      {.heads = 2, .kv_heads = 1, .head_dim = 128, .q = kBf16, .cache = kBf16},
      {.head_dim = 80, .q = kF16, .cache = kF16},
      {.q = kBf16, .cache = kF16},
      {.head_dim = 64, .q = kF16, .cache = kF16, .out = "bf16"},
      {.heads = 6, .kv_heads = 2, .head_dim = 128, .q = kBf16, .cache = kBf16, .out = "f32"},
      {.q = kBf16, .cache = kF32},
      {.window = 1},
      {.window = 7},
      {.window = 32, .cache = kBf16},
      {.softcap = 5},
      {.window = 13, .softcap = 2, .block_size = 0, .cache = kF16},
      {.spread = 4},
      {.cache = kBf16, .layout = Layout::StridedRows},
      // 16-bit tiles on tensor cores: heads that share K and V, odd groups, blocks of all sizes.
      {.heads = 2, .kv_heads = 2, .head_dim = 128, .q = kF16, .cache = kF16},
      {.heads = 6, .kv_heads = 2, .head_dim = 64, .block_size = 7, .q = kF16, .cache = kF16},
      {.heads = 8, .kv_heads = 1, .head_dim = 128, .block_size = 0, .q = kBf16, .cache = kBf16},
      {.heads = 5, .kv_heads = 1, .head_dim = 64, .window = 19, .q = kBf16, .cache = kBf16},
      {.heads = 2, .kv_heads = 2, .head_dim = 128, .softcap = 4, .q = kF16, .cache = kF16},
      {.heads = 4, .kv_heads = 1, .head_dim = 64, .q = kBf16, .cache = kBf16, .spread = 4},
      {.heads = 4,
       .kv_heads = 4,
       .head_dim = 128,
       .block_size = 32,
       .q = kF16,
       .cache = kF16,
       .spread = 4,
       .layout = Layout::StridedRows},
  };
  Suite suite{.op = "paged_attention", .cases = {}, .bounds = bounds, .check = {}};
  for (const RaggedCase& ragged : ragged_cases()) {
    for (const AttentionCase& form : forms) suite.cases.push_back(make_case(ragged, form));
  }
  // Several tiles of 128 positions, their borders, and parts of a long context.
  const RaggedCase tiles = {"tiles", {{0, 257}, {383, 1}, {100, 130}, {511, 2}}};
  const RaggedCase contexts = {"contexts", {{1100, 1}, {0, 1}, {700, 1}}};
  for (const AttentionCase& form : std::vector<AttentionCase>{
           {.heads = 2, .kv_heads = 1, .head_dim = 128, .q = kF16, .cache = kF16},
           {.heads = 2, .kv_heads = 1, .head_dim = 128, .q = kBf16, .cache = kBf16},
           {.heads = 2, .kv_heads = 2, .head_dim = 64, .window = 150, .q = kF16, .cache = kF16},
           {.heads = 3, .kv_heads = 1, .head_dim = 64, .q = kBf16, .cache = kBf16},
           // Blocks smaller and larger than a tile.
           {.heads = 2, .kv_heads = 2, .head_dim = 128, .block_size = 8, .q = kF16, .cache = kF16},
           {.heads = 4, .kv_heads = 2, .head_dim = 64, .block_size = 48, .q = kF16, .cache = kF16},
           {.heads = 1,
           .kv_heads = 1,
           .head_dim = 128,
           .window = 200,
           .block_size = 256,
           .q = kBf16,
           .cache = kBf16,
           .out = "f32"}}) {
    suite.cases.push_back(make_case(tiles, form));
    suite.cases.push_back(make_case(contexts, form));
  }
  // More pieces of work than a card has multiprocessors: some take two, with different lengths.
  const RaggedCase pieces = {"pieces", {{0, 130}, {5, 40}}};
  for (const AttentionCase& form : std::vector<AttentionCase>{
           {.heads = 72, .kv_heads = 72, .head_dim = 64, .q = kF16, .cache = kF16},
           {.heads = 72, .kv_heads = 72, .head_dim = 64, .q = kBf16, .cache = kBf16},
           {.heads = 72, .kv_heads = 72, .head_dim = 128, .q = kF16, .cache = kF16},
           {.heads = 72, .kv_heads = 72, .head_dim = 128, .q = kBf16, .cache = kBf16}}) {
    suite.cases.push_back(make_case(pieces, form));
  }
  run_suite(suite);
}

}  // namespace
}  // namespace tenon::conformance
