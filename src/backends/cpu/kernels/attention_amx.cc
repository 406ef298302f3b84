#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>

#include "backends/cpu/impl_list.h"
#include "backends/cpu/kernels/attention_rows.h"
#include "backends/cpu/kernels/tables.h"
#include "base/thread_pool.h"

// Attention of bf16 tensors by tiles of pairs: both products and those with the tables of relative
// positions.
namespace tenon::cpu {
#if defined(__x86_64__)
namespace {

constexpr const Kernels& kernels = kAmx;

constexpr int64_t kQueries = 64;  // whose scores are held at once, in L2 with K and V
constexpr int64_t kKeys = 256;    // the same, at least
constexpr int64_t kPanel = 32;    // columns, and rows, of whole tiles
constexpr int64_t kStep = 16;     // units of k of whole tiles
// Floats behind each row, so that the rows of a tile fall into different cache sets.
constexpr int64_t kGap = 16;
constexpr int64_t kTasksPerThread = 4;

struct Sizes : AttentionShape {
  int64_t units = 0;                       // of head_dim, whole steps
  int64_t v_columns = 0;                   // head_dim, whole panels
  int64_t chunk = 0, chunk_columns = 0;    // keys whose scores are held at once; whole panels
  int64_t high_table = 0, wide_table = 0;  // rows of the tables, whole panels; 0: no positions
  int64_t chunks() const { return ceil_div(keys, chunk); }
  int64_t panel_bytes() const { return units * kPanel * 4; }
  int64_t q_pitch() const { return 2 * units + 2 * kGap; }                    // bf16
  int64_t score_pitch() const { return chunk_columns + kGap; }                // floats
  int64_t weight_pitch() const { return chunk_columns + 2 * kGap; }           // bf16
  int64_t out_pitch() const { return v_columns + kGap; }                      // floats
  int64_t k_bytes() const { return chunk_columns / kPanel * panel_bytes(); }  // of a chunk
  int64_t v_bytes() const { return chunk_columns / 2 * v_columns * 4; }       // of a chunk
};

Sizes sizes_of(const AttentionShape& shape) {
  Sizes sizes{shape};
  sizes.units = round_up(ceil_div(shape.head_dim, 2), kStep);
  sizes.v_columns = round_up(shape.head_dim, kPanel);
  // Whole rows of the grid, so that a chunk's bias is made of whole rows, too.
  sizes.chunk =
      shape.grid_w > 0 ? std::max<int64_t>(1, kKeys / shape.grid_w) * shape.grid_w : kKeys;
  sizes.chunk = std::max<int64_t>(1, std::min(sizes.chunk, shape.keys));
  sizes.chunk_columns = round_up(sizes.chunk, kPanel);
  if (shape.grid_h > 0) {
    sizes.high_table = round_up(2 * shape.grid_h - 1, kPanel);
    sizes.wide_table = round_up(2 * shape.grid_w - 1, kPanel);
  }
  return sizes;
}

// Scratch memory of one thread.
struct Buffers {
  uint16_t* q;                // [kQueries, q_pitch]
  std::byte *k, *v;           // [chunks, k_bytes], [chunks, v_bytes]
  float* scores;              // [kQueries, score_pitch]
  uint16_t *high, *low;       // [kQueries, weight_pitch]: their sum is a weight
  float* out;                 // [kQueries, out_pitch]
  float *top, *sums;          // [kQueries]: largest score so far, sum of exp(score - top)
  float *by_row, *by_column;  // [kQueries, table + kGap]: products with all rows of a table
};

Buffers take_buffers(const Sizes& sizes, Workspace& workspace) {
  Buffers buffers{};
  buffers.q = workspace.take<uint16_t>(kQueries * sizes.q_pitch());
  buffers.k = workspace.take<std::byte>(sizes.chunks() * sizes.k_bytes());
  buffers.v = workspace.take<std::byte>(sizes.chunks() * sizes.v_bytes());
  buffers.scores = workspace.take<float>(kQueries * sizes.score_pitch());
  buffers.high = workspace.take<uint16_t>(kQueries * sizes.weight_pitch());
  buffers.low = workspace.take<uint16_t>(kQueries * sizes.weight_pitch());
  buffers.out = workspace.take<float>(kQueries * sizes.out_pitch());
  buffers.top = workspace.take<float>(kQueries);
  buffers.sums = workspace.take<float>(kQueries);
  buffers.by_row = workspace.take<float>(kQueries * (sizes.high_table + kGap));
  buffers.by_column = workspace.take<float>(kQueries * (sizes.wide_table + kGap));
  return buffers;
}

// Rows of bf16 as panels of pairs: row i is column i % 32 of panel i / 32.
template <class RowOf>
void pack_panels(const Sizes& sizes, int64_t count, const RowOf& row_of, std::byte* to) {
  int64_t units = ceil_div(sizes.head_dim, 2);
  for (int64_t i = 0; i < count; i += kPanel, to += sizes.panel_bytes()) {
    const void* from[kPanel];
    int64_t rows = std::min(kPanel, count - i);
    for (int64_t r = 0; r < rows; ++r) from[r] = row_of(i + r);
    kAvx512Bf16.pair_gemm->pack_b(DType::BF16, from, rows, sizes.head_dim, to);
    int64_t done = units * kPanel * 4;
    std::memset(to + done, 0, static_cast<size_t>(sizes.panel_bytes() - done));
  }
}

// The tables of relative positions, the last row first: what a query needs of its products with
// them then lies side by side. Shared by all heads.
struct Tables {
  std::byte *high = nullptr, *wide = nullptr;

  Tables(const Sizes& sizes, Workspace& workspace) {
    high = workspace.take<std::byte>(sizes.high_table / kPanel * sizes.panel_bytes());
    wide = workspace.take<std::byte>(sizes.wide_table / kPanel * sizes.panel_bytes());
  }
  void pack(const Sizes& sizes, const AttentionTensors& tensors) const {
    int64_t rows = 2 * sizes.grid_h - 1, columns = 2 * sizes.grid_w - 1;
    if (sizes.grid_h == 0) return;
    pack_panels(
        sizes, rows, [&](int64_t i) { return tensors.rel_h.at(rows - 1 - i, 0); }, high);
    pack_panels(
        sizes, columns, [&](int64_t i) { return tensors.rel_w.at(columns - 1 - i, 0); }, wide);
  }
};

// One head of one batch: its K and V packed once, then tiles of queries with the online softmax.
class PairHead {
 public:
  PairHead(const Sizes& sizes, const Tables& tables, const AttentionTensors& tensors,
           const Buffers& buffers, float scale, int64_t batch, int64_t head)
      : sizes_(sizes),
        tables_(tables),
        buffers_(buffers),
        rows_(sizes, tensors, batch, head),
        out_type_(tensors.out.dtype()),
        scale_(scale) {
    for (int64_t chunk = 0; chunk < sizes_.chunks(); ++chunk) {
      int64_t first = chunk * sizes_.chunk, count = std::min(sizes_.chunk, sizes_.keys - first);
      pack_panels(
          sizes_, count, [&](int64_t i) { return rows_.key(first + i); },
          buffers_.k + chunk * sizes_.k_bytes());
      pack_values(first, count, buffers_.v + chunk * sizes_.v_bytes());
    }
  }

  void attend(int64_t first, int64_t count) const {
    load_queries(first, count);
    int64_t rows = round_up(count, kPanel);
    if (sizes_.grid_h > 0) {
      multiply_table(rows, tables_.high, sizes_.high_table, buffers_.by_row);
      multiply_table(rows, tables_.wide, sizes_.wide_table, buffers_.by_column);
    }
    std::fill_n(buffers_.top, count, -std::numeric_limits<float>::infinity());
    std::fill_n(buffers_.sums, count, 0.0f);
    std::fill_n(buffers_.out, rows * sizes_.out_pitch(), 0.0f);
    for (int64_t chunk = 0; chunk < sizes_.chunks(); ++chunk) {
      int64_t begin = chunk * sizes_.chunk, keys = std::min(sizes_.chunk, sizes_.keys - begin);
      score(chunk, keys, rows);
      for (int64_t row = 0; row < count; ++row) update_softmax(first + row, row, begin, keys);
      add_values(chunk, keys, rows, buffers_.high);
      add_values(chunk, keys, rows, buffers_.low);
    }
    store(first, count);
  }

 private:
  // [chunk_columns / 2, v_columns] pairs, zeros beyond the last key and the last column.
  void pack_values(int64_t first, int64_t count, std::byte* to) const {
    int64_t pitch = sizes_.v_columns * 4, bytes = sizes_.head_dim * 4;
    for (int64_t i = 0; i < count; i += 2, to += pitch) {
      const void* odd = i + 1 < count ? rows_.value(first + i + 1) : nullptr;
      kernels.pair_attention->pair_rows(rows_.value(first + i), odd, sizes_.head_dim, to);
      std::memset(to + bytes, 0, static_cast<size_t>(pitch - bytes));
    }
    int64_t rest = sizes_.chunk_columns / 2 - ceil_div(count, 2);
    std::memset(to, 0, static_cast<size_t>(rest * pitch));
  }

  void load_queries(int64_t first, int64_t count) const {
    auto bytes = static_cast<size_t>(2 * sizes_.head_dim),
         whole = static_cast<size_t>(4 * sizes_.units);
    for (int64_t row = 0; row < round_up(count, kPanel); ++row) {
      auto* to = reinterpret_cast<std::byte*>(buffers_.q + row * sizes_.q_pitch());
      if (row < count) std::memcpy(to, rows_.query(first + row), bytes);
      size_t done = row < count ? bytes : 0;
      std::memset(to + done, 0, whole - done);
    }
  }

  PairProduct queries_by(int64_t rows, const std::byte* panels, int64_t columns, float* to,
                         int64_t to_pitch) const {
    return {.rows = rows,
            .units = sizes_.units,
            .panels = ceil_div(columns, kPanel),
            .a = buffers_.q,
            .a_pitch = 2 * sizes_.q_pitch(),
            .b = panels,
            .b_pitch = 4 * kPanel,
            .b_panel = sizes_.panel_bytes(),
            .c = to,
            .c_pitch = to_pitch,
            .accumulate = false};
  }

  void multiply_table(int64_t rows, const std::byte* table, int64_t columns, float* to) const {
    kernels.pair_attention->multiply(queries_by(rows, table, columns, to, columns + kGap));
  }

  void score(int64_t chunk, int64_t keys, int64_t rows) const {
    kernels.pair_attention->multiply(queries_by(rows, buffers_.k + chunk * sizes_.k_bytes(), keys,
                                                buffers_.scores, sizes_.score_pitch()));
  }

  // `query` is row `row` of the tile; keys from `begin` on.
  void update_softmax(int64_t query, int64_t row, int64_t begin, int64_t keys) const {
    float* scores = buffers_.scores + row * sizes_.score_pitch();
    const float *by_row = nullptr, *by_column = nullptr;
    int64_t wide = sizes_.grid_w;
    if (wide > 0) {
      int64_t y = query / wide, x = query % wide;
      by_row =
          buffers_.by_row + row * (sizes_.high_table + kGap) + sizes_.grid_h - 1 - y + begin / wide;
      by_column = buffers_.by_column + row * (sizes_.wide_table + kGap) + wide - 1 - x;
    }
    float old_top = buffers_.top[row];
    float top = std::max(old_top, kernels.pair_attention->finish_scores(scores, keys, scale_,
                                                                        by_row, by_column, wide));
    int64_t at = row * sizes_.weight_pitch();
    float sum =
        kernels.pair_attention->split_exp(scores, keys, top, buffers_.high + at, buffers_.low + at);
    if (top != old_top) {
      float factor = std::exp(old_top - top);
      kernels.rows->scale(buffers_.out + row * sizes_.out_pitch(), sizes_.v_columns, factor);
      buffers_.sums[row] *= factor;
    }
    buffers_.top[row] = top;
    buffers_.sums[row] += sum;
  }

  void add_values(int64_t chunk, int64_t keys, int64_t rows, const uint16_t* weights) const {
    kernels.pair_attention->multiply({.rows = rows,
                                      .units = round_up(keys, kPanel) / 2,
                                      .panels = sizes_.v_columns / kPanel,
                                      .a = weights,
                                      .a_pitch = 2 * sizes_.weight_pitch(),
                                      .b = buffers_.v + chunk * sizes_.v_bytes(),
                                      .b_pitch = 4 * sizes_.v_columns,
                                      .b_panel = 4 * kPanel,
                                      .c = buffers_.out,
                                      .c_pitch = sizes_.out_pitch(),
                                      .accumulate = true});
  }

  void store(int64_t first, int64_t count) const {
    for (int64_t row = 0; row < count; ++row) {
      void* to = rows_.result(first + row);
      if (!to) continue;
      float* from = buffers_.out + row * sizes_.out_pitch();
      kernels.rows->scale(from, sizes_.head_dim, 1.0f / buffers_.sums[row]);
      kernels.rows->store(out_type_, from, sizes_.head_dim, to);
    }
  }

  const Sizes& sizes_;
  const Tables& tables_;
  const Buffers& buffers_;
  HeadRows rows_;
  DType out_type_;
  float scale_;
};

ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = cpu_supports(kernels.isa);
  if (support.ok) support = support_floats(desc, {}, {0});
  if (!support.ok) return support;
  for (const ops::TensorDesc& input : desc.inputs) {
    if (input.present && (input.dtype != DType::BF16 || input.quant))
      return ops::Support::no("an input is not bf16");
  }
  auto op = ops::read_attributes<ops::Attention>(*desc.attributes);
  if (op.head_dim > kMostHeadDim) return ops::Support::no("head_dim is above 512");
  return ops::Support::yes();
}

int64_t workspace_bytes(const ops::OpDesc& desc) {
  auto op = ops::read_attributes<ops::Attention>(*desc.attributes);
  bool relative = desc.inputs.size() > 3 && desc.inputs[3].present;
  Sizes sizes = sizes_of(attention_shape(op, desc.inputs[0].extents, desc.inputs[1].extents,
                                         desc.inputs[2].extents, relative));
  Workspace workspace;
  Tables tables(sizes, workspace);
  for (int i = 0; i < process_thread_pool().size(); ++i) take_buffers(sizes, workspace);
  return workspace.needed();
}

void run(const ops::RunArgs& args) {
  const auto& op = ops::attributes_of<ops::Attention>(args);
  AttentionTensors tensors(args);
  Sizes sizes = sizes_of(attention_shape(op, args.inputs[0].extents, args.inputs[1].extents,
                                         args.inputs[2].extents, tensors.rel_h.defined()));
  if (sizes.batch == 0 || sizes.queries == 0) return;
  TENON_CHECK(sizes.keys > 0);
  Workspace workspace(args.workspace);
  Tables tables(sizes, workspace);
  tables.pack(sizes, tensors);
  std::vector<Buffers> buffers;
  ThreadPool& pool = process_thread_pool();
  for (int i = 0; i < pool.size(); ++i) buffers.push_back(take_buffers(sizes, workspace));

  int64_t heads = sizes.batch * sizes.heads, tiles = ceil_div(sizes.queries, kQueries);
  int64_t parts = std::clamp<int64_t>(ceil_div(kTasksPerThread * pool.size(), heads), 1, tiles);
  std::atomic<int64_t> next{0};
  pool.run([&](int thread) {
    for (int64_t task; (task = next.fetch_add(1, std::memory_order_relaxed)) < heads * parts;) {
      int64_t head = task / parts, part = task % parts;
      PairHead work(sizes, tables, tensors, buffers[thread], static_cast<float>(op.scale),
                    head / sizes.heads, head % sizes.heads);
      for (int64_t tile = tiles * part / parts; tile < tiles * (part + 1) / parts; ++tile)
        work.attend(tile * kQueries, std::min(kQueries, sizes.queries - tile * kQueries));
    }
  });
}

}  // namespace

const ops::Implementation kAttentionBf16Amx = {.name = "attention__bf16__amx",
                                               .op = ops::Attention::kName,
                                               .supports = supports,
                                               .prepare = ops::prepare_attributes<ops::Attention>,
                                               .workspace_bytes = workspace_bytes,
                                               .run = run};
#endif
}  // namespace tenon::cpu
