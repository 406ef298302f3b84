#include "ops/unary.h"

#include "backends/cpu/impl_list.h"
#include "backends/cpu/kernels/functions.h"
#include "backends/cpu/kernels/pieces.h"
#include "backends/cpu/kernels/row_access.h"
#include "backends/cpu/kernels/tables.h"

namespace tenon::cpu {
#if defined(TENON_CPU_SIMD)
namespace {

template <const Kernels& kernels>
ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = cpu_supports(kernels.isa);
  if (support.ok) support = support_floats(desc, {0}, {0});
  if (!support.ok) return support;
  if (!has_activation(ops::read_attributes<ops::Unary>(*desc.attributes).kind)) {
    return ops::Support::no("kind has no vector form");
  }
  return support;
}

template <const Kernels& kernels>
void run(const ops::RunArgs& args) {
  Activation kind = activation_of(ops::attributes_of<ops::Unary>(args).kind);
  RowAccess x(args.inputs[0]), y(args.outputs[0]);
  for_pieces(y.count(), y.columns(), [&](int64_t row, int64_t column, int64_t n) {
    alignas(64) float values[kPiece];
    kernels.rows->load(x.dtype(), x.at(row, column), n, values);
    kernels.rows->activate(kind, n, values);
    kernels.rows->store(y.dtype(), values, n, y.at(row, column));
  });
}

template <const Kernels& kernels>
constexpr ops::Implementation implementation(std::string_view name) {
  return {.name = name,
          .op = ops::Unary::kName,
          .supports = supports<kernels>,
          .prepare = ops::prepare_attributes<ops::Unary>,
          .run = run<kernels>};
}

}  // namespace

TENON_CPU_EACH_ISA(Unary, "unary__any__")
#endif
}  // namespace tenon::cpu
