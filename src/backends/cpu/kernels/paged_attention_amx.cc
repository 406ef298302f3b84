#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>

#include "backends/cpu/impl_list.h"
#include "backends/cpu/kernels/paged_attention.h"
#include "backends/cpu/kernels/paged_cache.h"
#include "backends/cpu/kernels/row_access.h"
#include "base/thread_pool.h"

// Attention of prompts by tiles of pairs of bf16: scores, and weights times V. Where q or the cache
// is f16, as in most bf16 plans, an element is the sum of two bf16. Single tokens, which read the
// cache once, go through the vectors.
namespace tenon::cpu {
#if defined(__x86_64__)
namespace {

constexpr const Kernels& kernels = kAmx;

// New tokens of a sequence from which packing its K and V pays.
constexpr int64_t kLeastTokens = 16;
// Rows (a query token with one of its heads) that share packed K and V, and those whose scores are
// held at once; all in L2 beside one another.
constexpr int64_t kBlockRows = 512, kTileRows = 64;
constexpr int64_t kChunk = 256;  // positions that are packed at once
constexpr int64_t kPanel = 32;   // columns, and rows, of whole tiles
constexpr int64_t kStep = 16;    // units of k of whole tiles
// Floats behind each row, so that the rows of a tile fall into different cache sets.
constexpr int64_t kGap = 16;
constexpr int64_t kTasksPerThread = 4;

struct Sizes {
  int64_t group;  // query heads of one kv head
  int64_t head_dim;
  int64_t block_tokens;  // whose rows share packed K and V
  int64_t units;         // of head_dim, whole steps
  int64_t v_columns;     // head_dim, whole panels
  // The bf16 whose sum is an element of q, of the cache: 1, or 2 of an f16.
  int64_t q_addends, addends;
  int64_t block_rows() const { return round_up(block_tokens * group, kPanel); }
  int64_t panel_bytes() const { return units * kPanel * 4; }
  int64_t k_bytes() const { return kChunk / kPanel * panel_bytes(); }
  int64_t v_bytes() const { return kChunk / 2 * v_columns * 4; }
  int64_t q_pitch() const { return 2 * units + 2 * kGap; }  // bf16
  int64_t q_elements() const { return block_rows() * q_pitch(); }
  int64_t out_pitch() const { return v_columns + kGap; }  // floats
};
constexpr int64_t kScorePitch = kChunk + kGap;       // floats
constexpr int64_t kWeightPitch = kChunk + 2 * kGap;  // bf16

Sizes sizes_of(const ops::PagedAttention& op, DType q, DType cache, int64_t block_tokens) {
  return {.group = op.heads / op.kv_heads,
          .head_dim = op.head_dim,
          .block_tokens = block_tokens,
          .units = round_up(ceil_div(op.head_dim, 2), kStep),
          .v_columns = round_up(op.head_dim, kPanel),
          .q_addends = q == DType::F16 ? 2 : 1,
          .addends = cache == DType::F16 ? 2 : 1};
}
int64_t most_block_tokens(const ops::PagedAttention& op) {
  return std::max<int64_t>(1, kBlockRows * op.kv_heads / op.heads);
}

// Scratch memory of one thread.
struct Buffers {
  uint16_t* q;  // [block_rows, q_pitch]
  // [addends, kChunk / 32, units, 32] and [addends, kChunk / 2, v_columns] pairs
  std::byte *k, *v;
  uint16_t* split;       // [addends, kChunk, head_dim]: rows of the cache as bf16
  float* scores;         // [kTileRows, kScorePitch]
  uint16_t *high, *low;  // [kTileRows, kWeightPitch]: their sum is a weight
  float* out;            // [block_rows, out_pitch]
  float *top, *sums;     // [block_rows]: largest score so far, sum of exp(score - top)
};

Buffers take_buffers(const Sizes& sizes, Workspace& workspace) {
  Buffers buffers;
  buffers.q = workspace.take<uint16_t>(sizes.q_addends * sizes.q_elements());
  buffers.k = workspace.take<std::byte>(sizes.addends * sizes.k_bytes());
  buffers.v = workspace.take<std::byte>(sizes.addends * sizes.v_bytes());
  buffers.split = workspace.take<uint16_t>(sizes.addends * kChunk * sizes.head_dim);
  buffers.scores = workspace.take<float>(kTileRows * kScorePitch);
  buffers.high = workspace.take<uint16_t>(kTileRows * kWeightPitch);
  buffers.low = workspace.take<uint16_t>(kTileRows * kWeightPitch);
  buffers.out = workspace.take<float>(sizes.block_rows() * sizes.out_pitch());
  buffers.top = workspace.take<float>(sizes.block_rows());
  buffers.sums = workspace.take<float>(sizes.block_rows());
  return buffers;
}

// Some new tokens of one sequence.
struct Block {
  int32_t seq, first_token, tokens;
};

// A block with one kv head: chunks of positions are packed, then met by all rows that see them,
// with the online softmax. Chunks begin at multiples of kChunk, so a row's result does not depend
// on the block it is in.
class BlockOfHead {
 public:
  BlockOfHead(const ops::PagedAttention& op, const Sizes& sizes, const RaggedBatch& batch,
              const Buffers& buffers, const Block& block, int64_t kv_head)
      : op_(op),
        sizes_(sizes),
        batch_(batch),
        buffers_(buffers),
        block_(block),
        kv_head_(kv_head),
        rows_(block.tokens * sizes.group),
        position_(batch.first_position(block.seq) + block.first_token -
                  batch.first_token(block.seq)) {}

  void run(const RowAccess& q, const RowAccess& out) const {
    load_queries(q);
    int64_t whole = round_up(rows_, kPanel);
    std::fill_n(buffers_.top, whole, -std::numeric_limits<float>::infinity());
    std::fill_n(buffers_.sums, whole, 0.0f);
    std::fill_n(buffers_.out, whole * sizes_.out_pitch(), 0.0f);
    int64_t end = position_ + block_.tokens;
    for (int64_t begin = seen_begin(0) / kChunk * kChunk; begin < end; begin += kChunk) {
      int64_t count = std::min(kChunk, end - begin);
      pack(begin, count);
      for (int64_t row = 0; row < rows_; row += kTileRows) attend(row, begin, count);
    }
    store(out);
  }

 private:
  int64_t position_of(int64_t row) const { return position_ + row / sizes_.group; }
  int64_t seen_begin(int64_t row) const {
    return op_.window > 0 ? std::max<int64_t>(0, position_of(row) - op_.window + 1) : 0;
  }

  void load_queries(const RowAccess& q) const {
    int64_t pitch = sizes_.q_pitch(), whole = round_up(rows_, kPanel);
    for (int64_t i = 0; i < sizes_.q_addends; ++i) {
      uint16_t* to = buffers_.q + i * sizes_.q_elements();
      for (int64_t row = 0; row < whole; ++row) {
        int64_t done = row < rows_ ? sizes_.head_dim : 0;
        std::fill(to + row * pitch + done, to + row * pitch + 2 * sizes_.units, uint16_t{0});
      }
    }
    for (int64_t row = 0; row < rows_; ++row) {
      const void* from = q.at(token_of(row), column_of(row));
      uint16_t* to = buffers_.q + row * pitch;
      if (sizes_.q_addends == 1) {
        std::memcpy(to, from, static_cast<size_t>(2 * sizes_.head_dim));
      } else {
        kernels.pair_attention->split_halves(from, sizes_.head_dim, to, to + sizes_.q_elements());
      }
    }
  }
  int64_t token_of(int64_t row) const { return block_.first_token + row / sizes_.group; }
  int64_t column_of(int64_t row) const {
    return (kv_head_ * sizes_.group + row % sizes_.group) * sizes_.head_dim;
  }

  // K (part 0) or V (part 1) of the positions of a chunk, as one or two lists of rows of bf16.
  void find_rows(int64_t begin, int64_t count, int part, const void* (*rows)[kChunk]) const {
    batch_.find_rows(block_.seq, begin, count, part, kv_head_, rows[0]);
    if (sizes_.addends == 1) return;
    for (int64_t i = 0; i < count; ++i) {
      uint16_t *high = buffers_.split + i * sizes_.head_dim, *low = high + kChunk * sizes_.head_dim;
      kernels.pair_attention->split_halves(rows[0][i], sizes_.head_dim, high, low);
      rows[0][i] = high, rows[1][i] = low;
    }
  }

  void pack(int64_t begin, int64_t count) const {
    const void* rows[2][kChunk];
    find_rows(begin, count, 0, rows);
    for (int64_t i = 0; i < sizes_.addends; ++i)
      pack_keys(rows[i], count, buffers_.k + i * sizes_.k_bytes());
    find_rows(begin, count, 1, rows);
    for (int64_t i = 0; i < sizes_.addends; ++i)
      pack_values(rows[i], count, buffers_.v + i * sizes_.v_bytes());
  }

  // Position i of the chunk is column i % 32 of panel i / 32.
  void pack_keys(const void* const* rows, int64_t count, std::byte* to) const {
    int64_t done = ceil_div(sizes_.head_dim, 2) * kPanel * 4;
    for (int64_t i = 0; i < count; i += kPanel, to += sizes_.panel_bytes()) {
      kAvx512Bf16.pair_gemm->pack_b(DType::BF16, rows + i, std::min(kPanel, count - i),
                                    sizes_.head_dim, to);
      std::memset(to + done, 0, static_cast<size_t>(sizes_.panel_bytes() - done));
    }
  }

  // Pairs of positions, zeros beyond the last one and the last column.
  void pack_values(const void* const* rows, int64_t count, std::byte* to) const {
    int64_t pitch = sizes_.v_columns * 4, bytes = sizes_.head_dim * 4;
    for (int64_t i = 0; i < count; i += 2, to += pitch) {
      const void* odd = i + 1 < count ? rows[i + 1] : nullptr;
      kernels.pair_attention->pair_rows(rows[i], odd, sizes_.head_dim, to);
      std::memset(to + bytes, 0, static_cast<size_t>(pitch - bytes));
    }
    int64_t rest = round_up(count, kPanel) / 2 - ceil_div(count, 2);
    std::memset(to, 0, static_cast<size_t>(rest * pitch));
  }

  // The tile of rows from `first` on with the chunk of positions from `begin` on.
  void attend(int64_t first, int64_t begin, int64_t count) const {
    int64_t rows = std::min(kTileRows, rows_ - first);
    int64_t keys = std::min(count, position_of(first + rows - 1) + 1 - begin);
    if (keys <= 0 || seen_begin(first) >= begin + count) return;
    int64_t whole = round_up(rows, kPanel);
    score(first, keys, whole);
    for (int64_t row = 0; row < rows; ++row) update_softmax(first + row, row, begin, keys);
    add_values(first, keys, whole);
  }

  void score(int64_t first, int64_t keys, int64_t rows) const {
    PairSegment segments[4];
    int64_t count = 0;
    for (int64_t i = 0; i < sizes_.q_addends; ++i) {
      for (int64_t j = 0; j < sizes_.addends; ++j)
        segments[count++] = {2 * i * sizes_.q_elements(), j * sizes_.k_bytes()};
    }
    kernels.pair_attention->multiply({.rows = rows,
                                      .units = sizes_.units,
                                      .panels = ceil_div(keys, kPanel),
                                      .a = buffers_.q + first * sizes_.q_pitch(),
                                      .a_pitch = 2 * sizes_.q_pitch(),
                                      .b = buffers_.k,
                                      .b_pitch = 4 * kPanel,
                                      .b_panel = sizes_.panel_bytes(),
                                      .c = buffers_.scores,
                                      .c_pitch = kScorePitch,
                                      .accumulate = false,
                                      .segments = segments,
                                      .segment_count = count});
  }

  // `row` of the block is row `at` of the tile, whose scores become weights: zeros outside what the
  // row sees.
  void update_softmax(int64_t row, int64_t at, int64_t begin, int64_t keys) const {
    int64_t from = std::clamp<int64_t>(seen_begin(row) - begin, 0, keys);
    int64_t to = std::clamp<int64_t>(position_of(row) + 1 - begin, from, keys);
    float* scores = buffers_.scores + at * kScorePitch + from;
    uint16_t *high = buffers_.high + at * kWeightPitch, *low = buffers_.low + at * kWeightPitch;
    int64_t seen = to - from, whole = round_up(keys, kPanel);
    if (seen == 0) {
      std::fill_n(high, whole, uint16_t{0});
      std::fill_n(low, whole, uint16_t{0});
      return;
    }
    float largest = kernels.pair_attention->finish_scores(
        scores, seen, static_cast<float>(op_.scale), nullptr, nullptr, 0);
    if (op_.softcap > 0) {
      kernels.rows->softcap(scores, seen, static_cast<float>(op_.softcap));
      largest = kernels.rows->largest(scores, seen);
    }
    float old_top = buffers_.top[row], top = std::max(old_top, largest);
    // Writes zeros up to a multiple of 32 behind `from`.
    float sum = kernels.pair_attention->split_exp(scores, seen, top, high + from, low + from);
    int64_t written = from + round_up(seen, kPanel);
    for (uint16_t* weights : {high, low}) {
      std::fill_n(weights, from, uint16_t{0});
      if (written < whole) std::fill(weights + written, weights + whole, uint16_t{0});
    }
    if (top != old_top) {
      float factor = std::exp(old_top - top);
      kernels.rows->scale(buffers_.out + row * sizes_.out_pitch(), sizes_.v_columns, factor);
      buffers_.sums[row] *= factor;
    }
    buffers_.top[row] = top;
    buffers_.sums[row] += sum;
  }

  // Both parts of the weights with the larger part of V, and the larger part of the weights with
  // the smaller one of V. What is left is below 2^-17 of a product.
  void add_values(int64_t first, int64_t keys, int64_t rows) const {
    int64_t low =
        reinterpret_cast<std::byte*>(buffers_.low) - reinterpret_cast<std::byte*>(buffers_.high);
    PairSegment segments[] = {{0, 0}, {low, 0}, {0, sizes_.v_bytes()}};
    kernels.pair_attention->multiply({.rows = rows,
                                      .units = round_up(keys, kPanel) / 2,
                                      .panels = sizes_.v_columns / kPanel,
                                      .a = buffers_.high,
                                      .a_pitch = 2 * kWeightPitch,
                                      .b = buffers_.v,
                                      .b_pitch = 4 * sizes_.v_columns,
                                      .b_panel = 4 * kPanel,
                                      .c = buffers_.out + first * sizes_.out_pitch(),
                                      .c_pitch = sizes_.out_pitch(),
                                      .accumulate = true,
                                      .segments = segments,
                                      .segment_count = 1 + sizes_.addends});
  }

  void store(const RowAccess& out) const {
    for (int64_t row = 0; row < rows_; ++row) {
      float* from = buffers_.out + row * sizes_.out_pitch();
      kernels.rows->scale(from, sizes_.head_dim, 1.0f / buffers_.sums[row]);
      kernels.rows->store(out.dtype(), from, sizes_.head_dim,
                          out.at(token_of(row), column_of(row)));
    }
  }

  const ops::PagedAttention& op_;
  const Sizes& sizes_;
  const RaggedBatch& batch_;
  const Buffers& buffers_;
  Block block_;
  int64_t kv_head_, rows_, position_;
};

ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = cpu_supports(kernels.isa);
  if (support.ok) support = support_floats(desc, {0, 4}, {0});
  if (!support.ok) return support;
  if (desc.inputs[0].dtype == DType::F32) return ops::Support::no("q is f32");
  if (desc.inputs[4].dtype == DType::F32) return ops::Support::no("the cache is f32");
  return support;
}

// The list of blocks, and buffers of all threads.
struct CallBuffers {
  Block* blocks;
  std::byte* threads;
  int64_t thread_bytes;
};

CallBuffers take_call_buffers(const ops::PagedAttention& op, DType q, DType cache, int64_t tokens,
                              Workspace& workspace) {
  Workspace one;
  take_buffers(sizes_of(op, q, cache, most_block_tokens(op)), one);
  CallBuffers buffers;
  buffers.thread_bytes = round_up(one.needed(), 64);
  buffers.blocks = workspace.take<Block>(tokens);
  buffers.threads = workspace.take<std::byte>(process_thread_pool().size() * buffers.thread_bytes);
  return buffers;
}

int64_t workspace_bytes(const ops::OpDesc& desc) {
  auto op = ops::read_attributes<ops::PagedAttention>(*desc.attributes);
  int64_t tokens = desc.inputs[0].extents[0];
  Workspace workspace;
  take_call_buffers(op, desc.inputs[0].dtype, desc.inputs[4].dtype, tokens, workspace);
  return std::max(workspace.needed(), paged_attention_workspace(op, tokens, kernels));
}

// Blocks of the long sequences, so many tokens each that every thread has several turns.
int64_t list_blocks(const ops::PagedAttention& op, const RaggedBatch& batch, int64_t tokens,
                    int64_t& block_tokens, Block* blocks) {
  int64_t turns = kTasksPerThread * process_thread_pool().size();
  int64_t least = std::max<int64_t>(1, kTileRows * op.kv_heads / op.heads);
  block_tokens = std::clamp(ceil_div(tokens * op.kv_heads, turns), least, most_block_tokens(op));
  int64_t count = 0;
  for (int64_t seq = 0; seq < batch.seqs(); ++seq) {
    int64_t begin = batch.first_token(seq), end = begin + batch.new_tokens(seq);
    TENON_CHECK(begin >= 0 && end <= tokens && batch.first_position(seq) >= 0);
    for (int64_t token = begin; end - begin >= kLeastTokens && token < end; token += block_tokens) {
      blocks[count++] = {static_cast<int32_t>(seq), static_cast<int32_t>(token),
                         static_cast<int32_t>(std::min(block_tokens, end - token))};
    }
  }
  return count;
}

void run(const ops::RunArgs& args) {
  const auto& op = ops::attributes_of<ops::PagedAttention>(args);
  run_paged_attention(args, kernels, kLeastTokens);
  RowAccess q(args.inputs[0]), out(args.outputs[0]);
  RaggedBatch batch = ragged_batch(args.inputs, 1);
  Workspace workspace(args.workspace);
  CallBuffers buffers = take_call_buffers(op, q.dtype(), batch.cache.dtype, q.count(), workspace);
  int64_t block_tokens = 0;
  int64_t blocks = list_blocks(op, batch, q.count(), block_tokens, buffers.blocks);
  if (blocks == 0) return;
  Sizes sizes = sizes_of(op, q.dtype(), batch.cache.dtype, block_tokens);
  std::atomic<int64_t> next{0};
  process_thread_pool().run([&](int thread) {
    Workspace own({buffers.threads + thread * buffers.thread_bytes,
                   static_cast<size_t>(buffers.thread_bytes)});
    Buffers scratch = take_buffers(sizes, own);
    for (int64_t task;
         (task = next.fetch_add(1, std::memory_order_relaxed)) < blocks * op.kv_heads;) {
      // The last blocks see most positions, so they come first.
      const Block& block = buffers.blocks[blocks - 1 - task / op.kv_heads];
      BlockOfHead(op, sizes, batch, scratch, block, task % op.kv_heads).run(q, out);
    }
  });
}

}  // namespace

const ops::Implementation kPagedAttentionAmx = {
    .name = "paged_attention__16bit__amx",
    .op = ops::PagedAttention::kName,
    .supports = supports,
    .prepare = ops::prepare_attributes<ops::PagedAttention>,
    .workspace_bytes = workspace_bytes,
    .run = run};
#endif
}  // namespace tenon::cpu
