#include "ops/rope.h"

#include "backends/cpu/impl_list.h"
#include "backends/cpu/kernels/ranges.h"
#include "backends/cpu/kernels/rotation.h"
#include "backends/cpu/kernels/row_access.h"
#include "backends/cpu/kernels/tables.h"

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
  return support.ok ? support_floats(desc, {0}, {0}) : support;
}

int64_t workspace_bytes(const ops::OpDesc& desc) {
  Workspace workspace;
  auto op = ops::read_attributes<ops::Rope>(*desc.attributes);
  take_buffers(op.head_dim, desc.inputs[2].extents[0], workspace);
  return workspace.needed();
}

template <const Kernels& kernels>
void run(const ops::RunArgs& args) {
  const auto& op = ops::attributes_of<ops::Rope>(args);
  const TensorView &positions = args.inputs[1], &inv_freq = args.inputs[2];
  RowAccess x(args.inputs[0]), y(args.outputs[0]);
  int64_t pairs = inv_freq.extents[0];
  Workspace workspace(args.workspace);
  Buffers buffers = take_buffers(op.head_dim, pairs, workspace);
  for_ranges(x.count(), 4, [&](int thread, int64_t begin, int64_t end) {
    float* head = buffers.heads + thread * op.head_dim;
    Rotation rotation(*kernels.rows, inv_freq, op.interleaved, op.scale,
                      buffers.tables + thread * 2 * pairs);
    for (int64_t t = begin; t < end; ++t) {
      rotation.set_position(positions.as<const int32_t>()[t * positions.strides[0]]);
      for (int64_t first = 0; first < x.columns(); first += op.head_dim) {
        kernels.rows->load(x.dtype(), x.at(t, first), op.head_dim, head);
        rotation.rotate(head);
        kernels.rows->store(y.dtype(), head, op.head_dim, y.at(t, first));
      }
    }
  });
}

template <const Kernels& kernels>
constexpr ops::Implementation implementation(std::string_view name) {
  return {.name = name,
          .op = ops::Rope::kName,
          .supports = supports<kernels>,
          .prepare = ops::prepare_attributes<ops::Rope>,
          .workspace_bytes = workspace_bytes,
          .run = run<kernels>};
}

}  // namespace

TENON_CPU_EACH_ISA(Rope, "rope__any__")
#endif
}  // namespace tenon::cpu
