#include "ops/conv.h"

#include <cstring>

#include "backends/cpu/impl_list.h"
#include "backends/cpu/kernels/functions.h"
#include "backends/cpu/kernels/linear.h"
#include "backends/cpu/kernels/ranges.h"

namespace tenon::cpu {
#if defined(TENON_CPU_SIMD)
namespace {

// Pixels of y made at once: their patches are a block of rows of a product.
constexpr int64_t kPixels = 256;

struct Prepared {
  ops::Conv op;
  Activation activation = Activation::None;
};

std::shared_ptr<const void> prepare(const ops::OpDesc& desc) {
  auto prepared = std::make_shared<Prepared>();
  prepared->op = ops::read_attributes<ops::Conv>(*desc.attributes);
  if (!prepared->op.activation.empty())
    prepared->activation = activation_of(prepared->op.activation);
  return prepared;
}

template <const Kernels& kernels, bool pairs = false>
ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = cpu_supports(kernels.isa);
  if (support.ok) support = support_floats(desc, {0, 1, 2}, {0});
  if (support.ok) support = support_product<pairs>(desc, 0, 1);
  if (!support.ok) return support;
  auto op = ops::read_attributes<ops::Conv>(*desc.attributes);
  if (!has_activation(op.activation)) return ops::Support::no("activation has no vector form");
  return op.groups == 1 ? ops::Support::yes() : ops::Support::no("has groups");
}

LinearSizes sizes_of(const Extents& weight) {
  return {.m = kPixels, .n = weight[0], .k = weight[1] * weight[2] * weight[3]};
}

int64_t patch_bytes(DType dtype, const LinearSizes& sizes) {
  return round_up(dtype_bytes(dtype, sizes.m * sizes.k), 64);
}

template <const Kernels& kernels, bool pairs = false>
int64_t workspace_bytes(const ops::OpDesc& desc) {
  LinearSizes sizes = sizes_of(desc.inputs[1].extents);
  return patch_bytes(desc.inputs[0].dtype, sizes) +
         product_workspace(sizes, product_kernels<kernels, pairs>());
}

// What the kernel sees from one pixel of y: [kh, kw, in], zeros where it looks outside.
void copy_patch(const ops::Conv& op, const RowAccess& x, const Extents& size, const Extents& kernel,
                int64_t picture, int64_t row, int64_t column, std::byte* to) {
  int64_t bytes = kernel[3] * x.element_bytes();
  for (int64_t i = 0; i < kernel[1]; ++i) {
    int64_t from_row = row * op.strides[0] - op.pads[0] + i * op.dilations[0];
    for (int64_t j = 0; j < kernel[2]; ++j, to += bytes) {
      int64_t from_column = column * op.strides[1] - op.pads[1] + j * op.dilations[1];
      bool inside =
          from_row >= 0 && from_row < size[1] && from_column >= 0 && from_column < size[2];
      if (inside) {
        int64_t pixel = (picture * size[1] + from_row) * size[2] + from_column;
        std::memcpy(to, x.at(pixel, 0), static_cast<size_t>(bytes));
      } else {
        std::memset(to, 0, static_cast<size_t>(bytes));
      }
    }
  }
}

template <const Kernels& kernels, bool pairs = false>
void run(const ops::RunArgs& args) {
  ProductKernels product = product_kernels<kernels, pairs>();
  const auto& prepared = *static_cast<const Prepared*>(args.prepared);
  const TensorView &x_view = args.inputs[0], &weight = args.inputs[1], &y_view = args.outputs[0];
  RowAccess x(x_view), y(y_view);
  LinearSizes sizes = sizes_of(weight.extents);
  int64_t patches = patch_bytes(x.dtype(), sizes);
  TENON_CHECK(weight.is_contiguous() && y_view.is_contiguous());
  int64_t height = y_view.extents[1], width = y_view.extents[2];
  for (int64_t first = 0; first < y.count(); first += kPixels) {
    int64_t count = std::min(kPixels, y.count() - first);
    TensorView block(args.workspace.data(), x.dtype(), {count, sizes.k});
    RowAccess rows(block);
    for_ranges(count, 16, [&](int, int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        int64_t pixel = first + i;
        copy_patch(prepared.op, x, x_view.extents, weight.extents, pixel / width / height,
                   pixel / width % height, pixel % width, rows.at(i, 0));
      }
    });
    LinearCall call{.x = rows,
                    .weight = RowAccess(weight.reshaped({sizes.n, sizes.k})),
                    .residual = {},
                    .y = RowAccess(TensorView(y.at(first, 0), y.dtype(), {count, sizes.n})),
                    .bias = input_or_none(args, 2),
                    .activation = prepared.activation};
    call.m = count, call.n = sizes.n, call.k = sizes.k;
    Workspace rest(args.workspace.subspan(static_cast<size_t>(patches)));
    run_product(call, *kernels.rows, product, rest);
  }
}

template <const Kernels& kernels, bool pairs = false>
constexpr ops::Implementation implementation(std::string_view name) {
  return {.name = name,
          .op = ops::Conv::kName,
          .supports = supports<kernels, pairs>,
          .prepare = prepare,
          .workspace_bytes = workspace_bytes<kernels, pairs>,
          .run = run<kernels, pairs>};
}

}  // namespace

#if defined(__x86_64__)
const ops::Implementation kConvBf16Amx = implementation<kAmx, true>("conv__bf16__amx");
#endif
TENON_CPU_EACH_ISA(Conv, "conv__any__")
#endif
}  // namespace tenon::cpu
