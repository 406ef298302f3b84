// What only long sequences, many heads and large heads reach: several chunks of positions,
// sequences split over threads, packed single tokens, heads wider than a block of k.
#include <gtest/gtest.h>

#include <numeric>

#include "backends/cpu/test_kernels.h"
#include "ops/kv_cache.h"

namespace tenon::cpu {
namespace {

struct AttentionShape {
  const char* name;
  int64_t heads, kv_heads, head_dim, block_size;
  int64_t before, tokens;  // positions in the cache, and new ones
  int64_t window = 0;
  DType cache = DType::F32, queries = DType::F32;
};

class PagedAttentionLong : public testing::TestWithParam<AttentionShape> {};

// One query head at one position, in double.
std::vector<double> attend(const AttentionShape& shape, const std::vector<double>& q,
                           const std::vector<double>& cache, const std::vector<int32_t>& table,
                           int64_t kv_head, int64_t position) {
  auto row = [&](int64_t p, int64_t part) {
    int64_t block = table[p / shape.block_size];
    return (((block * 2 + part) * shape.kv_heads + kv_head) * shape.block_size +
            p % shape.block_size) *
           shape.head_dim;
  };
  int64_t begin = shape.window > 0 ? std::max<int64_t>(0, position - shape.window + 1) : 0;
  std::vector<double> scores, out(shape.head_dim);
  for (int64_t p = begin; p <= position; ++p) {
    scores.push_back(std::inner_product(q.begin(), q.end(), cache.begin() + row(p, 0), 0.0) /
                     std::sqrt(static_cast<double>(shape.head_dim)));
  }
  double largest = *std::max_element(scores.begin(), scores.end()), sum = 0;
  for (double& score : scores) sum += score = std::exp(score - largest);
  for (int64_t p = begin; p <= position; ++p) {
    for (int64_t dim = 0; dim < shape.head_dim; ++dim) {
      out[dim] += scores[p - begin] / sum * cache[row(p, 1) + dim];
    }
  }
  return out;
}

TEST_P(PagedAttentionLong, AgreesWithPlainSums) {
  const AttentionShape& shape = GetParam();
  int64_t length = shape.before + shape.tokens;
  int64_t blocks = (length + shape.block_size - 1) / shape.block_size;
  int64_t width = shape.heads * shape.head_dim, group = shape.heads / shape.kv_heads;
  // Blocks of the sequence in reverse order: neighbours in the sequence are none in memory.
  std::vector<int32_t> table(blocks);
  for (int64_t i = 0; i < blocks; ++i) table[i] = static_cast<int32_t>(blocks - 1 - i);
  Tensor q = make_random(shape.queries, {shape.tokens, width}, 1, 2);
  Tensor cache =
      make_random(shape.cache, {blocks, 2, shape.kv_heads, shape.block_size, shape.head_dim}, 2);
  Tensor offsets = make_i32({0, static_cast<int32_t>(shape.tokens)}, {2});
  Tensor lengths = make_i32({static_cast<int32_t>(length)}, {1});
  Tensor block_table = make_i32(table, {1, blocks});
  Tensor out = Tensor::make(DType::F32, {shape.tokens, width});
  ops::Attributes attributes = ops::to_attributes(
      ops::PagedAttention{shape.heads, shape.kv_heads, shape.head_dim, shape.window,
                          1 / std::sqrt(static_cast<double>(shape.head_dim)), 0});
  std::vector<double> q_values = values_of(q), cache_values = values_of(cache);
  auto check = [&](const std::string& name) {
    for (int64_t token : {int64_t{0}, shape.tokens / 2, shape.tokens - 1}) {
      for (int64_t head = 0; head < shape.heads; ++head) {
        auto first = q_values.begin() + token * width + head * shape.head_dim;
        std::vector<double> expected = attend(shape, {first, first + shape.head_dim}, cache_values,
                                              table, head / group, shape.before + token);
        for (int64_t dim = 0; dim < shape.head_dim; ++dim) {
          float got = out.as<float>()[token * width + head * shape.head_dim + dim];
          ASSERT_NEAR(got, expected[dim], 2e-5) << name << " token " << token << " head " << head;
        }
      }
    }
    std::fill_n(out.as<float>(), out.count(), std::nanf(""));
  };
  run_all("paged_attention", attributes, {q, offsets, lengths, block_table, cache}, {out}, check);
}

INSTANTIATE_TEST_SUITE_P(
    All, PagedAttentionLong,
    testing::Values(
        AttentionShape{"one_kv_head_is_split", 4, 1, 64, 16, 2000, 1},
        AttentionShape{"split_in_window", 2, 1, 40, 64, 3000, 1, 900, DType::BF16},
        AttentionShape{"few_tokens_split", 2, 1, 64, 32, 1500, 3, 0, DType::F16},
        AttentionShape{"many_heads_share_one", 71, 1, 64, 16, 300, 1},
        AttentionShape{"nine_heads_share_one", 18, 2, 33, 1, 200, 2},
        AttentionShape{"head_wider_than_a_block", 4, 2, 600, 16, 150, 30},
        AttentionShape{"wide_head_one_token", 2, 2, 576, 16, 400, 1},
        AttentionShape{"long_prompt", 4, 2, 64, 16, 0, 333, 0, DType::BF16},
        AttentionShape{"prompt_in_window", 2, 2, 80, 7, 100, 260, 50},
        AttentionShape{"prompt_of_pairs", 4, 2, 64, 16, 0, 333, 0, DType::BF16, DType::BF16},
        AttentionShape{"pairs_in_window", 2, 2, 80, 7, 100, 560, 50, DType::BF16, DType::BF16},
        AttentionShape{"pairs_of_odd_heads", 71, 1, 33, 16, 301, 17, 0, DType::BF16, DType::BF16},
        AttentionShape{"halves", 4, 2, 64, 16, 300, 333, 0, DType::F16, DType::F16},
        AttentionShape{"halves_and_pairs", 8, 1, 40, 16, 300, 33, 0, DType::BF16, DType::F16},
        AttentionShape{"pairs_and_halves", 4, 2, 72, 16, 40, 333, 0, DType::F16, DType::BF16},
        AttentionShape{"halves_in_window", 6, 2, 128, 32, 130, 300, 90, DType::F16, DType::BF16},
        AttentionShape{"several_blocks_of_pairs", 2, 2, 128, 32, 130, 700, 300, DType::BF16,
                       DType::BF16}),
    [](const auto& test) { return std::string(test.param.name); });

// A prompt, single tokens and a short piece of a prompt in one call: the same bits as each alone.
TEST(PagedAttention, SequencesOfOneCallDoNotMeet) {
  if (!has_kernels()) GTEST_SKIP() << "skip no kernel runs on this CPU";
  constexpr int32_t kTokens[] = {40, 1, 16, 3, 1}, kLengths[] = {300, 270, 16, 90, 1};
  constexpr int64_t kSeqs = 5, kBlocks = 20, kDim = 64, kWidth = 4 * kDim;
  ops::Attributes attributes = ops::to_attributes(ops::PagedAttention{4, 2, kDim, 0, 0.125, 0});
  for (DType dtype : {DType::F32, DType::F16, DType::BF16}) {
    Tensor q = make_random(dtype, {61, kWidth}, 3, 2);
    Tensor cache = make_random(dtype, {kSeqs * kBlocks, 2, 2, 16, kDim}, 4);
    std::vector<int32_t> table(kSeqs * kBlocks), starts = {0};
    for (size_t i = 0; i < table.size(); ++i) table[i] = static_cast<int32_t>(i);
    for (int32_t tokens : kTokens) starts.push_back(starts.back() + tokens);
    Tensor together = Tensor::make(DType::F32, {61, kWidth});
    std::vector<std::vector<float>> results;
    run_all("paged_attention", attributes,
            {q, make_i32(starts, {kSeqs + 1}), make_i32({kLengths, kLengths + kSeqs}, {kSeqs}),
             make_i32(table, {kSeqs, kBlocks}), cache},
            {together}, [&](const std::string&) {
              results.emplace_back(together.as<float>(), together.as<float>() + together.count());
            });
    for (int64_t seq = 0; seq < kSeqs; ++seq) {
      Tensor alone = Tensor::make(DType::F32, {kTokens[seq], kWidth});
      size_t ran = 0;
      run_all("paged_attention", attributes,
              {q.view().slice(0, starts[seq], starts[seq + 1]), make_i32({0, kTokens[seq]}, {2}),
               make_i32({kLengths[seq]}, {1}),
               make_i32({table.begin() + seq * kBlocks, table.begin() + (seq + 1) * kBlocks},
                        {1, kBlocks}),
               cache},
              {alone}, [&](const std::string& name) {
                const float* expected = results[ran++].data() + starts[seq] * kWidth;
                EXPECT_TRUE(std::equal(expected, expected + alone.count(), alone.as<float>()))
                    << name << " sequence " << seq;
              });
    }
  }
}

TEST(PagedAttention, RefusesABlockOutsideTheCache) {
  Tensor q = make_random(DType::F32, {1, 8}, 1), out = Tensor::make(DType::F32, {1, 8});
  Tensor cache = make_random(DType::F32, {2, 2, 1, 4, 8}, 2);
  Tensor offsets = make_i32({0, 1}, {2}), lengths = make_i32({3}, {1});
  Tensor table = make_i32({7}, {1, 1});
  ops::Attributes attributes = ops::to_attributes(ops::PagedAttention{1, 1, 8, 0, 1.0, 0});
  if (!has_kernels()) GTEST_SKIP() << "skip no kernel runs on this CPU";
  EXPECT_THROW(run_all("paged_attention", attributes, {q, offsets, lengths, table, cache}, {out},
                       [](const std::string&) {}),
               Error);
}

}  // namespace
}  // namespace tenon::cpu
