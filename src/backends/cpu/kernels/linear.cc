#include "ops/linear.h"

#include "backends/cpu/impl_list.h"
#include "backends/cpu/kernels/functions.h"
#include "backends/cpu/kernels/linear.h"

namespace tenon::cpu {

namespace {

// Parts of rows lie too far apart for a core to foresee: those of y wait for memory unless they are
// fetched some rows ahead.
constexpr int64_t kRowsAhead = 8, kLineBytes = 64;

void fetch(const RowAccess& rows, int64_t row, int64_t column, int64_t n, bool written) {
  const std::byte* from = rows.at(row, column);
  for (int64_t at = 0; at < n * rows.element_bytes(); at += kLineBytes) {
    if (written) {
      __builtin_prefetch(from + at, 1);
    } else {
      __builtin_prefetch(from + at);
    }
  }
}

}  // namespace

void fetch_results(const LinearCall& call, int64_t row, int64_t rows, int64_t column, int64_t n) {
  for (int64_t i = row; i < std::min(call.m, row + rows); ++i) {
    fetch(call.y, i, column, n, true);
    if (call.residual.defined()) fetch(call.residual, i, column, n, false);
  }
}

void finish_row(const RowKernels& rows, const LinearCall& call, int64_t row, int64_t column,
                int64_t n, float* sums) {
  if (row + kRowsAhead < call.m) fetch(call.y, row + kRowsAhead, column, n, true);
  if (call.bias.defined()) {
    const std::byte* from =
        static_cast<const std::byte*>(call.bias.data) + dtype_bytes(call.bias.dtype, column);
    rows.accumulate(call.bias.dtype, from, n, sums);
  }
  rows.activate(call.activation, n, sums);
  if (call.residual.defined()) {
    rows.accumulate(call.residual.dtype(), call.residual.at(row, column), n, sums);
  }
  rows.store(call.y.dtype(), sums, n, call.y.at(row, column));
}

#if defined(TENON_CPU_SIMD)
namespace {

struct Prepared {
  Activation activation;
};

std::shared_ptr<const void> prepare(const ops::OpDesc& desc) {
  auto op = ops::read_attributes<ops::Linear>(*desc.attributes);
  return std::make_shared<const Prepared>(Prepared{activation_of(op.activation)});
}

template <const Kernels& kernels, bool pairs>
ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = cpu_supports(kernels.isa);
  if (support.ok) support = support_floats(desc, {0, 1, 2, 3}, {0});
  if (!support.ok) return support;
  if (pairs && desc.inputs[0].dtype != DType::BF16) return ops::Support::no("x is not bf16");
  if (pairs && desc.inputs[1].dtype != DType::BF16) return ops::Support::no("weight is not bf16");
  if (!has_activation(ops::read_attributes<ops::Linear>(*desc.attributes).activation)) {
    return ops::Support::no("activation has no vector form");
  }
  return support;
}

template <const Kernels& kernels, bool pairs>
int64_t workspace_bytes(const ops::OpDesc& desc) {
  const Extents& x = desc.inputs[0].extents;
  const Extents& weight = desc.inputs[1].extents;
  LinearSizes sizes = {.m = 1, .n = weight[0], .k = weight[1]};
  for (int axis = 0; axis + 1 < x.rank(); ++axis) sizes.m *= x[axis];
  return product_workspace(sizes, product_kernels<kernels, pairs>());
}

template <const Kernels& kernels, bool pairs>
void run(const ops::RunArgs& args) {
  const auto& prepared = *static_cast<const Prepared*>(args.prepared);
  LinearCall call = {.x = RowAccess(args.inputs[0]),
                     .weight = RowAccess(args.inputs[1]),
                     .residual = RowAccess(input_or_none(args, 3)),
                     .y = RowAccess(args.outputs[0]),
                     .bias = input_or_none(args, 2),
                     .activation = prepared.activation};
  call.m = call.x.count(), call.n = call.weight.count(), call.k = call.weight.columns();
  if (call.m == 0 || call.n == 0) return;
  run_product(call, *kernels.rows, product_kernels<kernels, pairs>(), Workspace(args.workspace));
}

template <const Kernels& kernels, bool pairs>
constexpr ops::Implementation implementation(std::string_view name) {
  return {.name = name,
          .op = ops::Linear::kName,
          .supports = supports<kernels, pairs>,
          .prepare = prepare,
          .workspace_bytes = workspace_bytes<kernels, pairs>,
          .run = run<kernels, pairs>};
}

}  // namespace

#if defined(__x86_64__)
const ops::Implementation kLinearBf16Amx = implementation<kAmx, true>("linear__bf16__amx");
const ops::Implementation kLinearBf16Avx512 =
    implementation<kAvx512Bf16, true>("linear__bf16__avx512bf16");
const ops::Implementation kLinearAvx512 = implementation<kAvx512, false>("linear__f32__avx512");
const ops::Implementation kLinearAvx2 = implementation<kAvx2, false>("linear__f32__avx2");
#else
const ops::Implementation kLinearNeon = implementation<kNeon, false>("linear__f32__neon");
#endif
#endif

}  // namespace tenon::cpu
