#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>

#include "backends/cpu/impl_list.h"
#include "backends/cpu/kernels/paged_attention.h"
#include "backends/cpu/kernels/paged_cache.h"
#include "backends/cpu/kernels/row_access.h"
#include "base/thread_pool.h"

// Attention of prompts in bf16 by tiles of pairs: scores, and weights times V. Single tokens, which
// read the cache once, go through the vectors.
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
  int64_t block_rows() const { return round_up(block_tokens * group, kPanel); }
  int64_t panel_bytes() const { return units * kPanel * 4; }
  int64_t q_pitch() const { return 2 * units + 2 * kGap; }  // bf16
  int64_t out_pitch() const { return v_columns + kGap; }    // floats
};
constexpr int64_t kScorePitch = kChunk + kGap;       // floats
constexpr int64_t kWeightPitch = kChunk + 2 * kGap;  // bf16

Sizes sizes_of(const ops::PagedAttention& op, int64_t block_tokens) {
  return {.group = op.heads / op.kv_heads,
          .head_dim = op.head_dim,
          .block_tokens = block_tokens,
          .units = round_up(ceil_div(op.head_dim, 2), kStep),
          .v_columns = round_up(op.head_dim, kPanel)};
}
int64_t most_block_tokens(const ops::PagedAttention& op) {
  return std::max<int64_t>(1, kBlockRows * op.kv_heads / op.heads);
}

// Scratch memory of one thread.
struct Buffers {
  uint16_t* q;           // [block_rows, q_pitch]
  std::byte *k, *v;      // [kChunk / 32, units, 32] and [kChunk / 2, v_columns] pairs
  float* scores;         // [kTileRows, kScorePitch]
  uint16_t *high, *low;  // [kTileRows, kWeightPitch]: their sum is a weight
  float* out;            // [block_rows, out_pitch]
  float *top, *sums;     // [block_rows]: largest score so far, sum of exp(score - top)
};

Buffers take_buffers(const Sizes& sizes, Workspace& workspace) {
  Buffers buffers;
  buffers.q = workspace.take<uint16_t>(sizes.block_rows() * sizes.q_pitch());
  buffers.k = workspace.take<std::byte>(kChunk / kPanel * sizes.panel_bytes());
  buffers.v = workspace.take<std::byte>(kChunk / 2 * sizes.v_columns * 4);
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
      pack_keys(begin, count);
      pack_values(begin, count);
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
    auto bytes = static_cast<size_t>(2 * sizes_.head_dim),
         whole = static_cast<size_t>(4 * sizes_.units);
    for (int64_t row = 0; row < round_up(rows_, kPanel); ++row) {
      auto* to = reinterpret_cast<std::byte*>(buffers_.q + row * sizes_.q_pitch());
      size_t done = row < rows_ ? bytes : 0;
      if (row < rows_) std::memcpy(to, q.at(token_of(row), column_of(row)), bytes);
      std::memset(to + done, 0, whole - done);
    }
  }
  int64_t token_of(int64_t row) const { return block_.first_token + row / sizes_.group; }
  int64_t column_of(int64_t row) const {
    return (kv_head_ * sizes_.group + row % sizes_.group) * sizes_.head_dim;
  }

  // Position i of the chunk is column i % 32 of panel i / 32.
  void pack_keys(int64_t begin, int64_t count) const {
    const void* rows[kChunk];
    batch_.find_rows(block_.seq, begin, count, 0, kv_head_, rows);
    int64_t done = ceil_div(sizes_.head_dim, 2) * kPanel * 4;
    std::byte* to = buffers_.k;
    for (int64_t i = 0; i < count; i += kPanel, to += sizes_.panel_bytes()) {
      kernels.pair_gemm->pack_b(DType::BF16, rows + i, std::min(kPanel, count - i), sizes_.head_dim,
                                to);
      std::memset(to + done, 0, static_cast<size_t>(sizes_.panel_bytes() - done));
    }
  }

  // Pairs of positions, zeros beyond the last one and the last column.
  void pack_values(int64_t begin, int64_t count) const {
    const void* rows[kChunk + 1];
    batch_.find_rows(block_.seq, begin, count, 1, kv_head_, rows);
    rows[count] = nullptr;
    int64_t pitch = sizes_.v_columns * 4, bytes = sizes_.head_dim * 4;
    std::byte* to = buffers_.v;
    for (int64_t i = 0; i < count; i += 2, to += pitch) {
      kernels.pair_attention->pair_rows(rows[i], rows[i + 1], sizes_.head_dim, to);
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
    kernels.pair_attention->multiply({.rows = whole,
                                      .units = sizes_.units,
                                      .panels = ceil_div(keys, kPanel),
                                      .a = buffers_.q + first * sizes_.q_pitch(),
                                      .a_pitch = 2 * sizes_.q_pitch(),
                                      .b = buffers_.k,
                                      .b_pitch = 4 * kPanel,
                                      .b_panel = sizes_.panel_bytes(),
                                      .c = buffers_.scores,
                                      .c_pitch = kScorePitch,
                                      .accumulate = false});
    for (int64_t row = 0; row < rows; ++row) update_softmax(first + row, row, begin, keys);
    add_values(first, keys, whole, buffers_.high);
    add_values(first, keys, whole, buffers_.low);
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

  void add_values(int64_t first, int64_t keys, int64_t rows, const uint16_t* weights) const {
    kernels.pair_attention->multiply({.rows = rows,
                                      .units = round_up(keys, kPanel) / 2,
                                      .panels = sizes_.v_columns / kPanel,
                                      .a = weights,
                                      .a_pitch = 2 * kWeightPitch,
                                      .b = buffers_.v,
                                      .b_pitch = 4 * sizes_.v_columns,
                                      .b_panel = 4 * kPanel,
                                      .c = buffers_.out + first * sizes_.out_pitch(),
                                      .c_pitch = sizes_.out_pitch(),
                                      .accumulate = true});
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
  if (desc.inputs[0].dtype != DType::BF16 || desc.inputs[4].dtype != DType::BF16)
    return ops::Support::no("q or the cache is not bf16");
  return support;
}

// The list of blocks, and buffers of all threads.
struct CallBuffers {
  Block* blocks;
  std::byte* threads;
  int64_t thread_bytes;
};

CallBuffers take_call_buffers(const ops::PagedAttention& op, int64_t tokens, Workspace& workspace) {
  Workspace one;
  take_buffers(sizes_of(op, most_block_tokens(op)), one);
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
  take_call_buffers(op, tokens, workspace);
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
  CallBuffers buffers = take_call_buffers(op, q.count(), workspace);
  int64_t block_tokens = 0;
  int64_t blocks = list_blocks(op, batch, q.count(), block_tokens, buffers.blocks);
  if (blocks == 0) return;
  Sizes sizes = sizes_of(op, block_tokens);
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

const ops::Implementation kPagedAttentionBf16Amx = {
    .name = "paged_attention__bf16__amx",
    .op = ops::PagedAttention::kName,
    .supports = supports,
    .prepare = ops::prepare_attributes<ops::PagedAttention>,
    .workspace_bytes = workspace_bytes,
    .run = run};
#endif
}  // namespace tenon::cpu
