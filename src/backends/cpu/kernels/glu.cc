#include "ops/glu.h"

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
  if (!has_activation(ops::read_attributes<ops::Glu>(*desc.attributes).kind)) {
    return ops::Support::no("kind has no vector form");
  }
  return support;
}

template <const Kernels& kernels>
void run(const ops::RunArgs& args) {
  Activation kind = activation_of(ops::attributes_of<ops::Glu>(args).kind);
  RowAccess x(args.inputs[0]), y(args.outputs[0]);
  const RowKernels& rows = *kernels.rows;
  for_pieces(y.count(), y.columns(), [&](int64_t row, int64_t column, int64_t n) {
    alignas(64) float gate[kPiece], up[kPiece];
    rows.load(x.dtype(), x.at(row, column), n, gate);
    rows.load(x.dtype(), x.at(row, y.columns() + column), n, up);
    rows.activate(kind, n, gate);
    rows.combine(Arithmetic::Mul, gate, up, n, gate);
    rows.store(y.dtype(), gate, n, y.at(row, column));
  });
}

template <const Kernels& kernels>
constexpr ops::Implementation implementation(std::string_view name) {
  return {.name = name,
          .op = ops::Glu::kName,
          .supports = supports<kernels>,
          .prepare = ops::prepare_attributes<ops::Glu>,
          .run = run<kernels>};
}

}  // namespace

TENON_CPU_EACH_ISA(Glu, "glu__any__")
#endif
}  // namespace tenon::cpu
