#include <atomic>
#include <cmath>

#include "backends/cpu/impl_list.h"
#include "backends/cpu/kernels/attention_tile.h"
#include "backends/cpu/kernels/paged_attention.h"
#include "backends/cpu/kernels/ranges.h"

namespace tenon::cpu {
#if defined(TENON_CPU_SIMD)
namespace {

// Tasks a thread should have at least, so that unequal ones even out.
constexpr int64_t kTasksPerThread = 2;
// A part of a split sequence has at least so many positions.
constexpr int64_t kMinPartPositions = 2 * kPositions;

int64_t thread_count() {
  return process_thread_pool().size();
}
// Splitting stops once there are tasks enough, which is before twice that many.
int64_t most_parts() {
  return 2 * kTasksPerThread * thread_count();
}

// Unfinished results of the parts of a split sequence.
struct Parts {
  float* out;         // [parts, rows, v_pitch]
  float *top, *sums;  // [parts, rows]
};

struct Buffers {
  QueryTile* tiles;  // [tokens]
  std::byte* threads;
  int64_t thread_bytes;
  Parts parts;
};

Buffers take_buffers(const AttentionSizes& sizes, int64_t tokens, Workspace& workspace) {
  Workspace one_thread;
  take_attention_buffers(sizes, one_thread);
  Buffers buffers;
  buffers.tiles = workspace.take<QueryTile>(tokens);
  buffers.thread_bytes = round_up(one_thread.needed(), 64);
  buffers.threads = workspace.take<std::byte>(thread_count() * buffers.thread_bytes);
  buffers.parts = {.out = workspace.take<float>(most_parts() * sizes.rows * sizes.v_pitch),
                   .top = workspace.take<float>(most_parts() * sizes.rows),
                   .sums = workspace.take<float>(most_parts() * sizes.rows)};
  return buffers;
}

// One call: tiles of queries x kv heads x parts of the positions, taken by the threads one by one.
class Attention {
 public:
  Attention(const ops::RunArgs& args, const Kernels& kernels, int64_t below)
      : op_(ops::attributes_of<ops::PagedAttention>(args)),
        kernels_(kernels),
        sizes_(attention_sizes(op_, *kernels.gemm)),
        batch_(ragged_batch(args.inputs, 1)),
        q_(args.inputs[0]),
        out_(args.outputs[0]) {
    Workspace workspace(args.workspace);
    buffers_ = take_buffers(sizes_, q_.count(), workspace);
    list_tiles(below);
    choose_parts();
  }

  void run() {
    int64_t tasks = tiles_ * op_.kv_heads * parts_;
    std::atomic<int64_t> next{0};
    process_thread_pool().run([&](int thread) {
      while (true) {
        int64_t task = next.fetch_add(1, std::memory_order_relaxed);
        if (task >= tasks) return;
        run_task(thread, task);
      }
    });
    if (parts_ > 1) merge_parts();
  }

 private:
  void list_tiles(int64_t below) {
    int64_t tokens_of_tile = sizes_.rows / sizes_.group;
    for (int64_t seq = 0; seq < batch_.seqs(); ++seq) {
      if (batch_.new_tokens(seq) >= below) continue;
      int64_t begin = batch_.first_token(seq), end = begin + batch_.new_tokens(seq);
      TENON_CHECK(begin >= 0 && end <= q_.count() && batch_.first_position(seq) >= 0);
      for (int64_t token = begin; token < end; token += tokens_of_tile) {
        int64_t tokens = std::min(tokens_of_tile, end - token);
        buffers_.tiles[tiles_++] = {static_cast<int32_t>(seq), static_cast<int32_t>(token),
                                    static_cast<int32_t>(tokens)};
        longest_ = std::max(longest_, batch_.length(seq));
      }
    }
  }

  void choose_parts() {
    int64_t tasks = std::max<int64_t>(1, tiles_ * op_.kv_heads);
    int64_t wanted = kTasksPerThread * thread_count();
    if (tasks >= wanted) return;
    parts_ = std::clamp<int64_t>(longest_ / kMinPartPositions, 1, ceil_div(wanted, tasks));
  }

  AttentionBuffers thread_buffers(int thread) const {
    Workspace own({buffers_.threads + thread * buffers_.thread_bytes,
                   static_cast<size_t>(buffers_.thread_bytes)});
    return take_attention_buffers(sizes_, own);
  }

  void run_task(int thread, int64_t task) const {
    // The last tiles see most positions, so they come first.
    const QueryTile& tile = buffers_.tiles[tiles_ - 1 - task / (op_.kv_heads * parts_)];
    int64_t kv_head = task / parts_ % op_.kv_heads, part = task % parts_;
    AttentionBuffers own = thread_buffers(thread);
    if (parts_ > 1) {
      own.out = buffers_.parts.out + task * sizes_.rows * sizes_.v_pitch;
      own.top = buffers_.parts.top + task * sizes_.rows;
      own.sums = buffers_.parts.sums + task * sizes_.rows;
    }
    AttentionTile work(op_, kernels_, sizes_, batch_, q_, own, tile, kv_head);
    int64_t begin = work.begin(), count = work.end() - begin;
    work.attend(begin + count * part / parts_, begin + count * (part + 1) / parts_);
    if (parts_ == 1) store(tile, kv_head, own.out, own.sums);
  }

  void store(const QueryTile& tile, int64_t kv_head, float* out, const float* sums) const {
    for (int64_t row = 0; row < tile.tokens * sizes_.group; ++row) {
      int64_t head = kv_head * sizes_.group + row % sizes_.group;
      float* from = out + row * sizes_.v_pitch;
      kernels_.rows->scale(from, sizes_.head_dim, 1.0f / sums[row]);
      kernels_.rows->store(out_.dtype(), from, sizes_.head_dim,
                           out_.at(tile.first_token + row / sizes_.group, head * sizes_.head_dim));
    }
  }

  // Parts of a task group follow each other; the first takes in the rest.
  void merge_parts() const {
    for (int64_t group = 0; group < tiles_ * op_.kv_heads; ++group) {
      const QueryTile& tile = buffers_.tiles[tiles_ - 1 - group / op_.kv_heads];
      int64_t first = group * parts_ * sizes_.rows;
      for (int64_t row = 0; row < tile.tokens * sizes_.group; ++row) merge_row(first + row);
      store(tile, group % op_.kv_heads, buffers_.parts.out + first * sizes_.v_pitch,
            buffers_.parts.sums + first);
    }
  }

  void merge_row(int64_t row) const {
    const Parts& parts = buffers_.parts;
    float top = parts.top[row];
    for (int64_t p = 1; p < parts_; ++p) top = std::max(top, parts.top[row + p * sizes_.rows]);
    float* out = parts.out + row * sizes_.v_pitch;
    float factor = std::exp(parts.top[row] - top);
    parts.sums[row] *= factor;
    kernels_.rows->scale(out, sizes_.head_dim, factor);
    for (int64_t p = 1; p < parts_; ++p) {
      int64_t other = row + p * sizes_.rows;
      float weight = std::exp(parts.top[other] - top);
      float* other_out = parts.out + other * sizes_.v_pitch;
      parts.sums[row] += weight * parts.sums[other];
      kernels_.rows->scale(other_out, sizes_.head_dim, weight);
      kernels_.rows->accumulate(DType::F32, other_out, sizes_.head_dim, out);
    }
  }

  const ops::PagedAttention& op_;
  const Kernels& kernels_;
  AttentionSizes sizes_;
  RaggedBatch batch_;
  RowAccess q_, out_;
  Buffers buffers_;
  int64_t tiles_ = 0, longest_ = 0, parts_ = 1;
};

template <const Kernels& kernels>
ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = cpu_supports(kernels.isa);
  return support.ok ? support_floats(desc, {0, 4}, {0}) : support;
}

template <const Kernels& kernels>
int64_t workspace_bytes(const ops::OpDesc& desc) {
  auto op = ops::read_attributes<ops::PagedAttention>(*desc.attributes);
  return paged_attention_workspace(op, desc.inputs[0].extents[0], kernels);
}

template <const Kernels& kernels>
void run(const ops::RunArgs& args) {
  run_paged_attention(args, kernels);
}

template <const Kernels& kernels>
constexpr ops::Implementation implementation(std::string_view name) {
  return {.name = name,
          .op = ops::PagedAttention::kName,
          .supports = supports<kernels>,
          .prepare = ops::prepare_attributes<ops::PagedAttention>,
          .workspace_bytes = workspace_bytes<kernels>,
          .run = run<kernels>};
}

}  // namespace

void run_paged_attention(const ops::RunArgs& args, const Kernels& kernels, int64_t below) {
  Attention(args, kernels, below).run();
}

int64_t paged_attention_workspace(const ops::PagedAttention& op, int64_t tokens,
                                  const Kernels& kernels) {
  Workspace workspace;
  take_buffers(attention_sizes(op, *kernels.gemm), tokens, workspace);
  return workspace.needed();
}

TENON_CPU_EACH_ISA(PagedAttention, "paged_attention__any__")
#endif
}  // namespace tenon::cpu
