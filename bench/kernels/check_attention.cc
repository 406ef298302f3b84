#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/check.h"
#include "ops/kv_cache.h"

namespace tenon::bench {
namespace {

struct Seq {
  int32_t cached = 0, fresh = 0;
  int32_t length() const { return cached + fresh; }
};

struct AttentionCase {
  int64_t heads, kv_heads, head_dim, block_size, window;
  double softcap;
  DType q, cache;

  int64_t blocks_of(const Seq& seq) const { return (seq.length() + block_size - 1) / block_size; }
};

// A batch over a paged cache whose blocks are scattered.
struct Batch {
  std::vector<int32_t> offsets = {0}, lengths, table;  // table [seqs, max_blocks]; -1: no block
  int64_t max_blocks = 0, blocks = 2;                  // two that nobody holds
};

Batch make_batch(const AttentionCase& c, const std::vector<Seq>& seqs, std::mt19937& random) {
  Batch batch;
  for (const Seq& seq : seqs) {
    batch.offsets.push_back(batch.offsets.back() + seq.fresh);
    batch.lengths.push_back(seq.length());
    batch.max_blocks = std::max({batch.max_blocks, c.blocks_of(seq), int64_t{1}});
    batch.blocks += c.blocks_of(seq);
  }
  std::vector<int32_t> free(batch.blocks);
  std::iota(free.begin(), free.end(), 0);
  std::shuffle(free.begin(), free.end(), random);
  batch.table.assign(seqs.size() * batch.max_blocks, -1);
  for (size_t s = 0; s < seqs.size(); ++s) {
    for (int64_t i = 0; i < c.blocks_of(seqs[s]); ++i) {
      batch.table[s * batch.max_blocks + i] = free.back();
      free.pop_back();
    }
  }
  return batch;
}

// Positions behind a sequence's end hold NaN, as memory nobody wrote may.
void poison_ends(const AttentionCase& c, const Batch& batch, const Tensor& cache) {
  int64_t row = dtype_bytes(c.cache, c.head_dim);
  for (size_t s = 0; s < batch.lengths.size(); ++s) {
    for (int64_t p = batch.lengths[s]; p % c.block_size != 0; ++p) {
      int64_t block = batch.table[s * batch.max_blocks + p / c.block_size];
      for (int64_t part = 0; part < 2 * c.kv_heads; ++part) {
        int64_t at = ((block * 2 * c.kv_heads + part) * c.block_size + p % c.block_size) * row;
        std::fill_n(cache.as<std::byte>() + at, row, std::byte{0xFF});
      }
    }
  }
}

std::string name_of(const AttentionCase& c, int64_t tokens, size_t seqs) {
  return std::to_string(c.heads) + ":" + std::to_string(c.kv_heads) + "x" +
         std::to_string(c.head_dim) + " block " + std::to_string(c.block_size) + " " +
         std::string(dtype_name(c.q)) + " " + std::string(dtype_name(c.cache)) + " window " +
         std::to_string(c.window) + (c.softcap > 0 ? " softcap" : "") + " tokens " +
         std::to_string(tokens) + " seqs " + std::to_string(seqs);
}

void check_case(Checker& checker, const AttentionCase& c, const std::vector<Seq>& seqs) {
  Batch batch = make_batch(c, seqs, checker.random());
  auto count = static_cast<int64_t>(seqs.size());
  int64_t tokens = batch.offsets.back();
  Extents extents{tokens, c.heads * c.head_dim};
  Tensor q = checker.random_floats(c.q, extents);
  Tensor cache =
      checker.random_floats(c.cache, {batch.blocks, 2, c.kv_heads, c.block_size, c.head_dim});
  poison_ends(c, batch, cache);
  ops::PagedAttention op{
      c.heads,  c.kv_heads, c.head_dim, c.window, 1 / std::sqrt(static_cast<double>(c.head_dim)),
      c.softcap};
  std::vector<TensorView> inputs = {
      q.view(), TensorView(batch.offsets.data(), DType::I32, {count + 1}),
      TensorView(batch.lengths.data(), DType::I32, {count}),
      TensorView(batch.table.data(), DType::I32, {count, batch.max_blocks}), cache.view()};
  // In f16 the weights of attention are rounded to it before they meet V.
  double error = c.q == DType::F16 && c.cache == DType::F16 ? 0x1p-10 : 2e-5;
  checker.check("paged_attention", name_of(c, tokens, seqs.size()), ops::to_attributes(op), inputs,
                c.q, extents, error);
}

}  // namespace

void check_attention(Checker& checker) {
  constexpr DType kF32 = DType::F32, kBf16 = DType::BF16, kF16 = DType::F16;
  const AttentionCase cases[] = {
      {4, 4, 128, 16, 0, 0, kBf16, kBf16}, {8, 2, 128, 16, 0, 0, kBf16, kBf16},
      {2, 2, 64, 16, 0, 0, kF16, kF16},    {3, 1, 80, 7, 0, 0, kF16, kF16},
      {2, 1, 96, 32, 0, 0, kBf16, kBf16},  {4, 4, 32, 1, 0, 0, kBf16, kBf16},
      {2, 2, 128, 16, 33, 0, kF16, kF16},  {4, 2, 64, 16, 0, 5, kBf16, kBf16},
      {6, 1, 40, 16, 0, 0, kF32, kF32},    {4, 2, 128, 16, 0, 0, kF32, kBf16},
      {2, 1, 256, 16, 0, 3, kBf16, kBf16}, {3, 3, 17, 5, 9, 0, kF32, kF32},
      {7, 1, 64, 16, 20, 2, kF16, kF16},   {5, 5, 1, 3, 0, 0, kBf16, kF16}};
  const std::vector<Seq> batches[] = {
      {{0, 1}},
      {{700, 1}},
      {{62, 1}, {0, 1}, {127, 1}, {300, 1}},
      {{0, 200}},
      {{130, 70}, {0, 1}},
      {{0, 17}, {31, 1}, {5, 3}, {0, 0}, {64, 1}, {15, 133}, {9, 0}},
      {{0, 2}, {3, 0}}};
  for (const AttentionCase& c : cases) {
    for (const std::vector<Seq>& seqs : batches) check_case(checker, c, seqs);
  }
}

}  // namespace tenon::bench
