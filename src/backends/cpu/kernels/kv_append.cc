#include "backends/cpu/impl_list.h"
#include "backends/cpu/kernels/paged_cache.h"
#include "backends/cpu/kernels/ranges.h"
#include "backends/cpu/kernels/row_access.h"
#include "backends/cpu/kernels/tables.h"
#include "ops/kv_cache.h"

namespace tenon::cpu {
#if defined(TENON_CPU_SIMD)
namespace {

template <const Kernels& kernels>
ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = cpu_supports(kernels.isa);
  return support.ok ? support_floats(desc, {0, 1, 5}, {}) : support;
}

template <const Kernels& kernels>
int64_t workspace_bytes(const ops::OpDesc& desc) {
  auto op = ops::read_attributes<ops::KvAppend>(*desc.attributes);
  Workspace workspace;
  workspace.take<float>(op.head_dim * process_thread_pool().size());
  return workspace.needed();
}

template <const Kernels& kernels>
void run(const ops::RunArgs& args) {
  const auto& op = ops::attributes_of<ops::KvAppend>(args);
  RaggedBatch batch = ragged_batch(args.inputs, 2);
  RowAccess parts[2] = {RowAccess(args.inputs[0]), RowAccess(args.inputs[1])};
  Workspace workspace(args.workspace);
  float* heads = workspace.take<float>(op.head_dim * process_thread_pool().size());
  for_each_new_token(batch, 16, [&](int thread, int64_t token, int64_t seq, int64_t position) {
    float* head = heads + thread * op.head_dim;
    for (int part = 0; part < 2; ++part) {
      const RowAccess& from = parts[part];
      for (int64_t h = 0; h < op.kv_heads; ++h) {
        kernels.rows->load(from.dtype(), from.at(token, h * op.head_dim), op.head_dim, head);
        kernels.rows->store(batch.cache.dtype, head, op.head_dim,
                            batch.row(seq, position, part, h));
      }
    }
  });
}

template <const Kernels& kernels>
constexpr ops::Implementation implementation(std::string_view name) {
  return {.name = name,
          .op = ops::KvAppend::kName,
          .supports = supports<kernels>,
          .prepare = ops::prepare_attributes<ops::KvAppend>,
          .workspace_bytes = workspace_bytes<kernels>,
          .run = run<kernels>};
}

}  // namespace

TENON_CPU_EACH_ISA(KvAppend, "kv_append__any__")
#endif
}  // namespace tenon::cpu
