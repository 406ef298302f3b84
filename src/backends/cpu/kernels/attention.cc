#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>

#include "backends/cpu/impl_list.h"
#include "backends/cpu/kernels/attention_few.h"
#include "backends/cpu/kernels/attention_rows.h"
#include "backends/cpu/kernels/tables.h"
#include "base/thread_pool.h"

namespace tenon::cpu {
#if defined(TENON_CPU_SIMD)
namespace {

// Query rows whose scores are held at once: packing K and V is a small part of the work, and the
// scores stay in L2 with them.
constexpr int64_t kTileRows = 48;
// Tasks a thread should have at least, so that unequal ones even out.
constexpr int64_t kTasksPerThread = 4;

struct Sizes : AttentionShape {
  int64_t q_pitch = 0;        // of unscaled queries, zero padded for the bias
  int64_t v_pitch = 0;        // head_dim, padded to whole tile columns
  int64_t chunk = 0;          // keys whose scores are held at once
  int64_t chunk_columns = 0;  // chunk, padded to whole tile columns
  int64_t chunks() const { return ceil_div(keys, chunk); }
};

Sizes sizes_of(const AttentionShape& shape, const GemmKernels& gemm) {
  Sizes sizes{shape};
  sizes.q_pitch = round_up(shape.head_dim, kGemvPadding);
  sizes.v_pitch = round_up(shape.head_dim, gemm.columns);
  // Whole rows of the grid, so that a chunk's bias is made of whole rows, too.
  sizes.chunk = shape.grid_w > 0 ? kTileUnits / shape.grid_w * shape.grid_w : kTileUnits;
  sizes.chunk = std::max<int64_t>(1, std::min(sizes.chunk, shape.keys));
  sizes.chunk_columns = round_up(sizes.chunk, gemm.columns);
  return sizes;
}

// Scratch memory of one thread.
struct Buffers {
  float *q, *plain_q;           // [rows, kTilePitch] scaled; [rows, q_pitch] as they are
  float* k;                     // [chunks, chunk_columns / columns, head_dim, columns]
  float* v;                     // [keys, v_pitch]
  float* scores;                // [rows, kTilePitch]
  float* out;                   // [rows, v_pitch]
  float *top, *sums;            // [rows]: largest score so far, sum of exp(score - top)
  float *by_row, *by_column;    // [rows, grid_h], [rows, grid_w]: the bias of each query
  const void **rel_h, **rel_w;  // rows of the tables, the last first
};

Buffers take_buffers(const Sizes& sizes, Workspace& workspace) {
  Buffers buffers{};
  buffers.q = workspace.take<float>(kTileRows * kTilePitch);
  buffers.plain_q = workspace.take<float>(kTileRows * sizes.q_pitch);
  buffers.k = workspace.take<float>(sizes.chunks() * sizes.chunk_columns * sizes.head_dim);
  buffers.v = workspace.take<float>(sizes.keys * sizes.v_pitch);
  buffers.scores = workspace.take<float>(kTileRows * kTilePitch);
  buffers.out = workspace.take<float>(kTileRows * sizes.v_pitch);
  buffers.top = workspace.take<float>(kTileRows);
  buffers.sums = workspace.take<float>(kTileRows);
  buffers.by_row = workspace.take<float>(kTileRows * sizes.grid_h);
  buffers.by_column = workspace.take<float>(kTileRows * sizes.grid_w);
  buffers.rel_h = workspace.take<const void*>(2 * sizes.grid_h);
  buffers.rel_w = workspace.take<const void*>(2 * sizes.grid_w);
  return buffers;
}

// One head of one batch: its K and V packed once, then tiles of queries with the online softmax.
class Head {
 public:
  Head(const Sizes& sizes, const Kernels& kernels, const AttentionTensors& tensors,
       const Buffers& buffers, float scale, int64_t batch, int64_t head)
      : sizes_(sizes),
        kernels_(kernels),
        gemm_(*kernels.gemm),
        tensors_(tensors),
        buffers_(buffers),
        rows_(sizes, tensors, batch, head),
        scale_(scale) {
    pack_keys();
    load_values();
    list_tables();
  }

  void attend(int64_t first, int64_t rows) {
    load_queries(first, rows);
    if (sizes_.grid_h > 0) make_bias(first, rows);
    std::fill_n(buffers_.top, rows, -std::numeric_limits<float>::infinity());
    std::fill_n(buffers_.sums, rows, 0.0f);
    std::fill_n(buffers_.out, rows * sizes_.v_pitch, 0.0f);
    for (int64_t begin = 0; begin < sizes_.keys; begin += sizes_.chunk) {
      int64_t count = std::min(sizes_.chunk, sizes_.keys - begin);
      score(begin, count, rows);
      update_softmax(count, rows);
      add_values(begin, count, rows);
    }
    store(first, rows);
  }

 private:
  void pack_keys() const {
    const void* from[kTileUnits];
    for (int64_t chunk = 0; chunk < sizes_.chunks(); ++chunk) {
      int64_t begin = chunk * sizes_.chunk, count = std::min(sizes_.chunk, sizes_.keys - begin);
      for (int64_t i = 0; i < count; ++i) from[i] = rows_.key(begin + i);
      for (int64_t i = 0; i < count; i += gemm_.columns) {
        gemm_.pack_b(tensors_.k.dtype(), from + i, std::min<int64_t>(gemm_.columns, count - i),
                     sizes_.head_dim, packed_keys(chunk, i));
      }
    }
  }
  float* packed_keys(int64_t chunk, int64_t inside) const {
    return buffers_.k + (chunk * sizes_.chunk_columns + inside) * sizes_.head_dim;
  }

  void load_values() const {
    bool plain = tensors_.v.dtype() == DType::F32;
    for (int64_t key = 0; key < sizes_.keys; ++key) {
      float* to = buffers_.v + key * sizes_.v_pitch;
      // A call for each row would take longer than a short row does.
      if (plain) {
        std::memcpy(to, rows_.value(key), sizes_.head_dim * sizeof(float));
      } else {
        kernels_.rows->load(tensors_.v.dtype(), rows_.value(key), sizes_.head_dim, to);
      }
      std::fill(to + sizes_.head_dim, to + sizes_.v_pitch, 0.0f);
    }
  }

  void list_tables() const {
    if (sizes_.grid_h == 0) return;
    int64_t high = 2 * sizes_.grid_h - 1, wide = 2 * sizes_.grid_w - 1;
    for (int64_t i = 0; i < high; ++i) buffers_.rel_h[i] = tensors_.rel_h.at(high - 1 - i, 0);
    for (int64_t i = 0; i < wide; ++i) buffers_.rel_w[i] = tensors_.rel_w.at(wide - 1 - i, 0);
  }

  void load_queries(int64_t first, int64_t rows) const {
    for (int64_t row = 0; row < rows; ++row) {
      float* plain = buffers_.plain_q + row * sizes_.q_pitch;
      float* scaled = buffers_.q + row * kTilePitch;
      kernels_.rows->load(tensors_.q.dtype(), rows_.query(first + row), sizes_.head_dim, plain);
      std::fill(plain + sizes_.head_dim, plain + sizes_.q_pitch, 0.0f);
      std::copy_n(plain, sizes_.head_dim, scaled);
      kernels_.rows->scale(scaled, sizes_.head_dim, scale_);
    }
  }

  // by_row[q, i] = q . rel_h[row of q - i + grid_h - 1]; by_column likewise. q is not scaled.
  void make_bias(int64_t first, int64_t rows) const {
    int64_t high = sizes_.grid_h, wide = sizes_.grid_w;
    for (int64_t row = 0; row < rows;) {
      // Queries of one row of the grid share it.
      int64_t y = (first + row) / wide;
      int64_t together = std::min(rows - row, (y + 1) * wide - first - row);
      kernels_.attention->score_rows(tensors_.rel_h.dtype(), buffers_.rel_h + (high - 1 - y), high,
                                     sizes_.head_dim, together,
                                     buffers_.plain_q + row * sizes_.q_pitch, sizes_.q_pitch,
                                     buffers_.by_row + row * high, high, {});
      row += together;
    }
    for (int64_t row = 0; row < rows; ++row) {
      int64_t x = (first + row) % wide;
      kernels_.attention->score_rows(tensors_.rel_w.dtype(), buffers_.rel_w + (wide - 1 - x), wide,
                                     sizes_.head_dim, 1, buffers_.plain_q + row * sizes_.q_pitch,
                                     sizes_.q_pitch, buffers_.by_column + row * wide, wide, {});
    }
  }

  void score(int64_t begin, int64_t count, int64_t rows) const {
    bool relative = sizes_.grid_h > 0;
    for (int64_t row = 0; relative && row < rows; ++row) {
      float* scores = buffers_.scores + row * kTilePitch;
      const float* by_row = buffers_.by_row + row * sizes_.grid_h;
      for (int64_t i = 0; i < count; i += sizes_.grid_w) {
        std::fill_n(scores + i, sizes_.grid_w, by_row[(begin + i) / sizes_.grid_w]);
        kernels_.rows->accumulate(DType::F32, buffers_.by_column + row * sizes_.grid_w,
                                  sizes_.grid_w, scores + i);
      }
      // Beyond them a tile adds to what nobody reads.
      std::fill(scores + count, scores + round_up(count, gemm_.columns), 0.0f);
    }
    int64_t chunk = begin / sizes_.chunk;
    for (int64_t row = 0; row < rows; row += gemm_.max_rows) {
      int height = static_cast<int>(std::min<int64_t>(gemm_.max_rows, rows - row));
      for (int64_t i = 0; i < count; i += gemm_.columns) {
        gemm_.tile(height, sizes_.head_dim, buffers_.q + row * kTilePitch, packed_keys(chunk, i),
                   gemm_.columns, buffers_.scores + row * kTilePitch + i, kTilePitch, relative, {});
      }
    }
  }

  void update_softmax(int64_t count, int64_t rows) const {
    const RowKernels& kernels = *kernels_.rows;
    for (int64_t row = 0; row < rows; ++row) {
      float* scores = buffers_.scores + row * kTilePitch;
      float old_top = buffers_.top[row];
      float top = std::max(old_top, kernels.largest(scores, count));
      float sum = kernels.exp_sum(scores, count, top);
      if (top != old_top) {
        float factor = std::exp(old_top - top);
        kernels.scale(buffers_.out + row * sizes_.v_pitch, sizes_.head_dim, factor);
        buffers_.sums[row] *= factor;
      }
      buffers_.top[row] = top;
      buffers_.sums[row] += sum;
    }
  }

  void add_values(int64_t begin, int64_t count, int64_t rows) const {
    for (int64_t row = 0; row < rows; row += gemm_.max_rows) {
      int height = static_cast<int>(std::min<int64_t>(gemm_.max_rows, rows - row));
      for (int64_t column = 0; column < sizes_.v_pitch; column += gemm_.columns) {
        gemm_.tile(height, count, buffers_.scores + row * kTilePitch,
                   buffers_.v + begin * sizes_.v_pitch + column, sizes_.v_pitch,
                   buffers_.out + row * sizes_.v_pitch + column, sizes_.v_pitch, true, {});
      }
    }
  }

  void store(int64_t first, int64_t rows) const {
    for (int64_t row = 0; row < rows; ++row) {
      void* to = rows_.result(first + row);
      if (!to) continue;
      float* from = buffers_.out + row * sizes_.v_pitch;
      kernels_.rows->scale(from, sizes_.head_dim, 1.0f / buffers_.sums[row]);
      kernels_.rows->store(tensors_.out.dtype(), from, sizes_.head_dim, to);
    }
  }

  const Sizes& sizes_;
  const Kernels& kernels_;
  const GemmKernels& gemm_;
  const AttentionTensors& tensors_;
  const Buffers& buffers_;
  HeadRows rows_;
  float scale_;
};

template <const Kernels& kernels>
ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = cpu_supports(kernels.isa);
  if (support.ok) support = support_floats(desc, {0, 1, 2, 3, 4, 5, 6}, {0});
  if (!support.ok) return support;
  auto op = ops::read_attributes<ops::Attention>(*desc.attributes);
  if (op.head_dim > kMostHeadDim) return ops::Support::no("head_dim is above 512");
  int64_t across = op.window > 0 ? op.window : op.grid_w;
  if (across > kTileUnits) return ops::Support::no("a row of the grid is above 512");
  for (size_t i = 5; i < desc.inputs.size(); ++i) {
    if (desc.inputs[i].present && desc.inputs[i].dtype != desc.inputs[i - 4].dtype)
      return ops::Support::no("pads have a type of their own");
  }
  return ops::Support::yes();
}

template <const Kernels& kernels>
int64_t workspace_bytes(const ops::OpDesc& desc) {
  auto op = ops::read_attributes<ops::Attention>(*desc.attributes);
  bool relative = desc.inputs.size() > 3 && desc.inputs[3].present;
  AttentionShape shape = attention_shape(op, desc.inputs[0].extents, desc.inputs[1].extents,
                                         desc.inputs[2].extents, relative);
  Sizes sizes = sizes_of(shape, *kernels.gemm);
  Workspace workspace;
  for (int i = 0; i < process_thread_pool().size(); ++i) take_buffers(sizes, workspace);
  // Asked with the largest sizes: there may be fewer keys when it runs.
  shape.keys = std::min<int64_t>(shape.keys, kFewKeys);
  return std::max(workspace.needed(), few_keys_workspace(shape));
}

template <const Kernels& kernels>
void run(const ops::RunArgs& args) {
  const auto& op = ops::attributes_of<ops::Attention>(args);
  AttentionTensors tensors(args);
  AttentionShape shape = attention_shape(op, args.inputs[0].extents, args.inputs[1].extents,
                                         args.inputs[2].extents, tensors.rel_h.defined());
  Sizes sizes = sizes_of(shape, *kernels.gemm);
  if (sizes.batch == 0 || sizes.queries == 0) return;
  TENON_CHECK(sizes.keys > 0);
  if (has_few_keys(shape)) {
    return attend_few_keys(shape, tensors, static_cast<float>(op.scale), kernels,
                           Workspace(args.workspace));
  }
  Workspace workspace(args.workspace);
  std::vector<Buffers> buffers;
  ThreadPool& pool = process_thread_pool();
  for (int i = 0; i < pool.size(); ++i) buffers.push_back(take_buffers(sizes, workspace));

  int64_t heads = sizes.batch * sizes.heads, tiles = ceil_div(sizes.queries, kTileRows);
  int64_t parts = std::clamp<int64_t>(ceil_div(kTasksPerThread * pool.size(), heads), 1, tiles);
  std::atomic<int64_t> next{0};
  pool.run([&](int thread) {
    for (int64_t task; (task = next.fetch_add(1, std::memory_order_relaxed)) < heads * parts;) {
      int64_t head = task / parts, part = task % parts;
      Head work(sizes, kernels, tensors, buffers[thread], static_cast<float>(op.scale),
                head / sizes.heads, head % sizes.heads);
      for (int64_t tile = tiles * part / parts; tile < tiles * (part + 1) / parts; ++tile)
        work.attend(tile * kTileRows, std::min(kTileRows, sizes.queries - tile * kTileRows));
    }
  });
}

template <const Kernels& kernels>
constexpr ops::Implementation implementation(std::string_view name) {
  return {.name = name,
          .op = ops::Attention::kName,
          .supports = supports<kernels>,
          .prepare = ops::prepare_attributes<ops::Attention>,
          .workspace_bytes = workspace_bytes<kernels>,
          .run = run<kernels>};
}

}  // namespace

TENON_CPU_EACH_ISA(Attention, "attention__any__")
#endif
}  // namespace tenon::cpu
