#include "ops/rms_norm.h"

#include "backends/cpu/impl_list.h"
#include "backends/cpu/kernels/norm.h"

namespace tenon::cpu {
#if defined(TENON_CPU_SIMD)
namespace {

template <const Kernels& kernels>
ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = cpu_supports(kernels.isa);
  return support.ok ? support_floats(desc, {0, 1, 2}, {0, 1}) : support;
}

int64_t workspace_bytes(const ops::OpDesc& desc) {
  return norm_workspace(desc.inputs[0].extents.back());
}

template <const Kernels& kernels>
void run(const ops::RunArgs& args) {
  const auto& op = ops::attributes_of<ops::RmsNorm>(args);
  NormCall call = {.x = RowAccess(args.inputs[0]),
                   .residual = RowAccess(input_or_none(args, 2)),
                   .y = RowAccess(args.outputs[0]),
                   .sum = RowAccess(output_or_none(args, 1)),
                   .weight = args.inputs[1],
                   .bias = {},
                   .eps = op.eps};
  run_norm(call, *kernels.rows, Workspace(args.workspace));
}

template <const Kernels& kernels>
constexpr ops::Implementation implementation(std::string_view name) {
  return {.name = name,
          .op = ops::RmsNorm::kName,
          .supports = supports<kernels>,
          .prepare = ops::prepare_attributes<ops::RmsNorm>,
          .workspace_bytes = workspace_bytes,
          .run = run<kernels>};
}

}  // namespace

TENON_CPU_EACH_ISA(RmsNorm, "rms_norm__any__")
#endif
}  // namespace tenon::cpu
