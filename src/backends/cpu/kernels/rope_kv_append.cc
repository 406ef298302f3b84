#include "backends/cpu/impl_list.h"
#include "backends/cpu/kernels/paged_cache.h"
#include "backends/cpu/kernels/ranges.h"
#include "backends/cpu/kernels/rotation.h"
#include "backends/cpu/kernels/row_access.h"
#include "backends/cpu/kernels/tables.h"
#include "ops/kv_cache.h"

namespace tenon::cpu {
#if defined(TENON_CPU_SIMD)
namespace {

struct Buffers {
  float* heads;   // [threads, head_dim]
  float* tables;  // [threads, 2, pairs]
};

Buffers take_buffers(int64_t head_dim, int64_t pairs, Workspace& workspace) {
  int64_t threads = process_thread_pool().size();
  return {.heads = workspace.take<float>(threads * head_dim),
          .tables = workspace.take<float>(threads * 2 * pairs)};
}

template <const Kernels& kernels>
ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = cpu_supports(kernels.isa);
  return support.ok ? support_floats(desc, {0, 6}, {0}) : support;
}

int64_t workspace_bytes(const ops::OpDesc& desc) {
  auto op = ops::read_attributes<ops::RopeKvAppend>(*desc.attributes);
  const ops::TensorDesc& inv_freq = desc.inputs[2];
  Workspace workspace;
  take_buffers(op.head_dim, inv_freq.present ? inv_freq.extents[0] : 0, workspace);
  return workspace.needed();
}

// Where one head goes: q, or a row of the cache. Each value is rounded once, on its way there.
struct Target {
  DType dtype;
  std::byte* data;
  bool rotated;
};

template <const Kernels& kernels>
void run(const ops::RunArgs& args) {
  const auto& op = ops::attributes_of<ops::RopeKvAppend>(args);
  const TensorView &positions = args.inputs[1], &inv_freq = args.inputs[2];
  RaggedBatch batch = ragged_batch(args.inputs, 3);
  RowAccess qkv(args.inputs[0]), q(args.outputs[0]);
  int64_t pairs = inv_freq.defined() ? inv_freq.extents[0] : 0;
  Workspace workspace(args.workspace);
  Buffers buffers = take_buffers(op.head_dim, pairs, workspace);
  auto target_of = [&](int64_t token, int64_t seq, int64_t position, int64_t h) -> Target {
    if (h < op.heads) return {q.dtype(), q.at(token, h * op.head_dim), true};
    int64_t kv = h - op.heads;
    bool is_k = kv < op.kv_heads;
    return {batch.cache.dtype, batch.row(seq, position, is_k ? 0 : 1, is_k ? kv : kv - op.kv_heads),
            is_k};
  };
  for_each_new_token(batch, 4, [&](int thread, int64_t token, int64_t seq, int64_t position) {
    float* head = buffers.heads + thread * op.head_dim;
    Rotation rotation(*kernels.rows, inv_freq, op.interleaved, op.scale,
                      buffers.tables + thread * 2 * pairs);
    rotation.set_position(positions.as<const int32_t>()[token * positions.strides[0]]);
    for (int64_t h = 0; h < op.heads + 2 * op.kv_heads; ++h) {
      Target target = target_of(token, seq, position, h);
      kernels.rows->load(qkv.dtype(), qkv.at(token, h * op.head_dim), op.head_dim, head);
      if (target.rotated && pairs > 0) rotation.rotate(head);
      kernels.rows->store(target.dtype, head, op.head_dim, target.data);
    }
  });
}

template <const Kernels& kernels>
constexpr ops::Implementation implementation(std::string_view name) {
  return {.name = name,
          .op = ops::RopeKvAppend::kName,
          .supports = supports<kernels>,
          .prepare = ops::prepare_attributes<ops::RopeKvAppend>,
          .workspace_bytes = workspace_bytes,
          .run = run<kernels>};
}

}  // namespace

TENON_CPU_EACH_ISA(RopeKvAppend, "rope_kv_append__any__")
#endif
}  // namespace tenon::cpu
