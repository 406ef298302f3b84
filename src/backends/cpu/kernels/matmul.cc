#include "ops/matmul.h"

#include "backends/cpu/impl_list.h"
#include "backends/cpu/kernels/linear.h"

namespace tenon::cpu {
#if defined(TENON_CPU_SIMD)
namespace {

template <const Kernels& kernels, bool pairs = false>
ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = cpu_supports(kernels.isa);
  if (support.ok) support = support_floats(desc, {0, 1}, {0});
  if (support.ok) support = support_product<pairs>(desc, 0, 1);
  if (!support.ok) return support;
  auto op = ops::read_attributes<ops::Matmul>(*desc.attributes);
  return op.transpose_b ? ops::Support::yes() : ops::Support::no("b is not transposed");
}

LinearSizes sizes_of(const Extents& a, const Extents& b) {
  int rank = a.rank();
  return {.m = a[rank - 2], .n = b[rank - 2], .k = a[rank - 1]};
}

template <const Kernels& kernels, bool pairs = false>
int64_t workspace_bytes(const ops::OpDesc& desc) {
  LinearSizes sizes = sizes_of(desc.inputs[0].extents, desc.inputs[1].extents);
  return product_workspace(sizes, product_kernels<kernels, pairs>());
}

// The matrix at one index of the leading axes, which count in row-major order.
RowAccess matrix_at(const TensorView& view, int64_t index) {
  int rank = view.rank();
  int64_t offset = 0;
  for (int axis = rank - 3; axis >= 0; index /= view.extents[axis--])
    offset += index % view.extents[axis] * view.strides[axis];
  TensorView matrix = view;
  matrix.data = view.as<std::byte>() + dtype_bytes(view.dtype, offset);
  matrix.extents = {view.extents[rank - 2], view.extents[rank - 1]};
  matrix.strides = {view.strides[rank - 2], view.strides[rank - 1]};
  return RowAccess(matrix);
}

// Each of these is a product like `linear`'s, with b as the weight.
template <const Kernels& kernels, bool pairs = false>
void run(const ops::RunArgs& args) {
  ProductKernels product = product_kernels<kernels, pairs>();
  const TensorView &a = args.inputs[0], &b = args.inputs[1], &y = args.outputs[0];
  LinearSizes sizes = sizes_of(a.extents, b.extents);
  if (y.count() == 0) return;
  for (int64_t batch = 0; batch < y.count() / (sizes.m * sizes.n); ++batch) {
    LinearCall call{.x = matrix_at(a, batch),
                    .weight = matrix_at(b, batch),
                    .residual = {},
                    .y = matrix_at(y, batch),
                    .bias = {}};
    call.m = sizes.m, call.n = sizes.n, call.k = sizes.k;
    run_product(call, *kernels.rows, product, Workspace(args.workspace));
  }
}

template <const Kernels& kernels, bool pairs = false>
constexpr ops::Implementation implementation(std::string_view name) {
  return {.name = name,
          .op = ops::Matmul::kName,
          .supports = supports<kernels, pairs>,
          .prepare = ops::prepare_attributes<ops::Matmul>,
          .workspace_bytes = workspace_bytes<kernels, pairs>,
          .run = run<kernels, pairs>};
}

}  // namespace

#if defined(__x86_64__)
const ops::Implementation kMatmulBf16Amx = implementation<kAmx, true>("matmul__bf16__amx");
#endif
TENON_CPU_EACH_ISA(Matmul, "matmul__any__")
#endif
}  // namespace tenon::cpu
