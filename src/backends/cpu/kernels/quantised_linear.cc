#include "backends/cpu/kernels/quantised_linear.h"

#include "backends/cpu/impl_list.h"
#include "backends/cpu/kernels/functions.h"
#include "ops/quantised_linear.h"

namespace tenon::cpu {

PanelScales PanelWeight::scales_of(int64_t panel, int64_t first, int64_t groups) const {
  PanelScales part = scales;
  int64_t index = (panel * sizes.groups + first) * kPanelRows;
  part.scales = static_cast<const std::byte*>(scales.scales) + index * (scales.half ? 2 : 4);
  if (part.zeros) part.zeros += index;
  part.groups = groups;
  return part;
}

PanelWeight panel_weight(const ops::RunArgs& args, const QuantSpec& spec, int64_t out, int64_t in) {
  PanelWeight weight;
  weight.sizes = panel_sizes(spec, out, in);
  weight.codes = args.inputs[1].as<const uint8_t>();
  weight.packed = spec.codes == DType::U4;
  TensorView zeros = input_or_none(args, 3);
  weight.scales = {.scales = args.inputs[2].data,
                   .half = spec.scales == DType::F16,
                   .zeros = zeros.as<const uint8_t>(),
                   .middle = middle_code(spec.codes),
                   .groups = weight.sizes.groups,
                   .units = weight.sizes.group / kUnitInputs};
  return weight;
}

#if defined(TENON_CPU_SIMD)
namespace {

struct Prepared {
  ops::QuantisedLinear op;
  QuantSpec spec;
  Activation activation;
};

QuantSpec spec_of(const ops::OpDesc& desc, const ops::QuantisedLinear& op) {
  return op.spec(desc.inputs[1].dtype, desc.inputs[2].dtype,
                 desc.inputs.size() > 3 && desc.inputs[3].present);
}

std::shared_ptr<const void> prepare(const ops::OpDesc& desc) {
  auto op = ops::read_attributes<ops::QuantisedLinear>(*desc.attributes);
  return std::make_shared<const Prepared>(
      Prepared{op, spec_of(desc, op), activation_of(op.activation)});
}

template <const Kernels& kernels>
ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = cpu_supports(kernels.isa);
  if (support.ok) support = support_floats(desc, {0, 4, 5}, {0});
  if (!support.ok) return support;
  auto op = ops::read_attributes<ops::QuantisedLinear>(*desc.attributes);
  if (!has_activation(op.activation)) return ops::Support::no("activation has no vector form");
  return ops::Support::yes();
}

template <const Kernels& kernels>
ops::Support supports_int8(const ops::OpDesc& desc) {
  ops::Support support = supports<kernels>(desc);
  if (!support.ok) return support;
  auto op = ops::read_attributes<ops::QuantisedLinear>(*desc.attributes);
  if (op.x_codes != "i8") return ops::Support::no("x is not rounded to 8 bits");
  // Such sums would have to be kept over several blocks.
  bool whole = desc.inputs[1].dtype == DType::U4 && op.group == 0;
  return whole ? ops::Support::no("codes of 4 bits have no groups") : support;
}

template <const Kernels& kernels>
ops::Support supports_codes4(const ops::OpDesc& desc) {
  ops::Support support = supports<kernels>(desc);
  if (!support.ok) return support;
  auto op = ops::read_attributes<ops::QuantisedLinear>(*desc.attributes);
  if (!op.x_codes.empty()) return ops::Support::no("x is rounded to 8 bits");
  bool four = desc.inputs[1].dtype == DType::U4;
  return four ? support : ops::Support::no("codes have 8 bits and x is not rounded");
}

LinearSizes sizes_of(const ops::OpDesc& desc, const ops::QuantisedLinear& op) {
  const Extents& x = desc.inputs[0].extents;
  LinearSizes sizes = {.m = 1, .n = op.out, .k = op.in};
  for (int axis = 0; axis + 1 < x.rank(); ++axis) sizes.m *= x[axis];
  return sizes;
}

template <const Kernels& kernels>
int64_t workspace_int8(const ops::OpDesc& desc) {
  auto op = ops::read_attributes<ops::QuantisedLinear>(*desc.attributes);
  LinearSizes sizes = sizes_of(desc, op);
  PanelSizes panels = panel_sizes(spec_of(desc, op), op.out, op.in);
  int64_t bytes = int8_workspace(sizes, panels);
  if constexpr (kernels.isa == Isa::Amx)
    return std::max(bytes, int8_tiles_workspace(sizes, panels));
  return bytes;
}

template <const Kernels& kernels>
int64_t workspace_codes4(const ops::OpDesc& desc) {
  auto op = ops::read_attributes<ops::QuantisedLinear>(*desc.attributes);
  LinearSizes sizes = sizes_of(desc, op);
  return std::max(codes4_workspace(sizes, panel_sizes(spec_of(desc, op), op.out, op.in)),
                  gemm_workspace(sizes, *kernels.gemm));
}

LinearCall call_of(const ops::RunArgs& args, const Prepared& prepared) {
  LinearCall call = {.x = RowAccess(args.inputs[0]),
                     .weight = {},
                     .residual = RowAccess(input_or_none(args, 5)),
                     .y = RowAccess(args.outputs[0]),
                     .bias = input_or_none(args, 4),
                     .activation = prepared.activation};
  call.m = call.x.count(), call.n = prepared.op.out, call.k = prepared.op.in;
  return call;
}

template <const Kernels& kernels>
void run_int8_op(const ops::RunArgs& args) {
  const auto& prepared = *static_cast<const Prepared*>(args.prepared);
  LinearCall call = call_of(args, prepared);
  if (call.m == 0) return;
  PanelWeight weight = panel_weight(args, prepared.spec, call.n, call.k);
  if (suits_tiles(weight, call.m, kernels)) {
    return run_int8_tiles(call, weight, kernels, Workspace(args.workspace));
  }
  run_int8(call, weight, kernels, Workspace(args.workspace));
}

template <const Kernels& kernels>
void run_codes4_op(const ops::RunArgs& args) {
  const auto& prepared = *static_cast<const Prepared*>(args.prepared);
  LinearCall call = call_of(args, prepared);
  if (call.m == 0) return;
  PanelWeight weight = panel_weight(args, prepared.spec, call.n, call.k);
  if (call.m <= kMostCodes4Rows) {
    return run_codes4(call, weight, *kernels.rows, *kernels.codes4, Workspace(args.workspace));
  }
  call.panels = &weight;
  call.codes4 = kernels.codes4;
  run_gemm(call, *kernels.rows, *kernels.gemm, Workspace(args.workspace));
}

template <const Kernels& kernels>
constexpr ops::Implementation int8_implementation(std::string_view name) {
  return {.name = name,
          .op = ops::QuantisedLinear::kName,
          .supports = supports_int8<kernels>,
          .prepare = prepare,
          .workspace_bytes = workspace_int8<kernels>,
          .run = run_int8_op<kernels>};
}

template <const Kernels& kernels>
constexpr ops::Implementation codes4_implementation(std::string_view name) {
  return {.name = name,
          .op = ops::QuantisedLinear::kName,
          .supports = supports_codes4<kernels>,
          .prepare = prepare,
          .workspace_bytes = workspace_codes4<kernels>,
          .run = run_codes4_op<kernels>};
}

}  // namespace

#if defined(__x86_64__)
const ops::Implementation kQuantisedLinearInt8Amx =
    int8_implementation<kAmx>("quantised_linear__i8__amx");
const ops::Implementation kQuantisedLinearInt8Vnni =
    int8_implementation<kAvx512Vnni>("quantised_linear__i8__avx512vnni");
const ops::Implementation kQuantisedLinearInt8Avx2 =
    int8_implementation<kAvx2>("quantised_linear__i8__avx2");
const ops::Implementation kQuantisedLinearCodes4Avx512 =
    codes4_implementation<kAvx512>("quantised_linear__f32_u4__avx512");
const ops::Implementation kQuantisedLinearCodes4Avx2 =
    codes4_implementation<kAvx2>("quantised_linear__f32_u4__avx2");
#else
const ops::Implementation kQuantisedLinearInt8I8mm =
    int8_implementation<kI8mm>("quantised_linear__i8__i8mm");
const ops::Implementation kQuantisedLinearInt8Dotprod =
    int8_implementation<kDotprod>("quantised_linear__i8__dotprod");
const ops::Implementation kQuantisedLinearInt8Neon =
    int8_implementation<kNeon>("quantised_linear__i8__neon");
const ops::Implementation kQuantisedLinearCodes4Neon =
    codes4_implementation<kNeon>("quantised_linear__f32_u4__neon");
#endif
#endif

}  // namespace tenon::cpu
