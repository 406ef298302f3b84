#include "ops/binary.h"

#include <optional>

#include "backends/cpu/impl_list.h"
#include "backends/cpu/kernels/pieces.h"
#include "backends/cpu/kernels/row_access.h"
#include "backends/cpu/kernels/tables.h"

namespace tenon::cpu {
#if defined(TENON_CPU_SIMD)
namespace {

// How an operand covers the output.
enum class Cover { Same, Row, Other };

// Extents are upper bounds: an axis that is 1 in one operand and not in the other repeats; an axis
// that is 1 in both may not grow apart, so equal bounds mean equal extents.
Cover cover_of(const Extents& operand, const Extents& out) {
  if (operand == out) return Cover::Same;
  if (operand.rank() >= 1 && operand.rank() <= out.rank() && operand.back() == out.back() &&
      operand.count() == operand.back()) {
    return Cover::Row;
  }
  return Cover::Other;
}

std::optional<Arithmetic> arithmetic_of(std::string_view kind) {
  for (size_t i = 0; i < std::size(ops::kBinaryKinds); ++i) {
    if (ops::kBinaryKinds[i] == kind) return static_cast<Arithmetic>(i);
  }
  return std::nullopt;
}

template <const Kernels& kernels>
ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = cpu_supports(kernels.isa);
  if (support.ok) support = support_floats(desc, {0, 1}, {0});
  if (!support.ok) return support;
  if (!arithmetic_of(ops::read_attributes<ops::Binary>(*desc.attributes).kind)) {
    return ops::Support::no("kind has no vector form");
  }
  for (const ops::TensorDesc& input : desc.inputs) {
    if (cover_of(input.extents, desc.outputs[0].extents) == Cover::Other) {
      return ops::Support::no("broadcasts otherwise than by one row");
    }
  }
  return support;
}

template <const Kernels& kernels>
void run(const ops::RunArgs& args) {
  Arithmetic kind = *arithmetic_of(ops::attributes_of<ops::Binary>(args).kind);
  RowAccess a(args.inputs[0]), b(args.inputs[1]), y(args.outputs[0]);
  const RowKernels& rows = *kernels.rows;
  // A single row repeats; with one row of output there is no difference.
  int64_t a_step = a.count() == 1 ? 0 : 1, b_step = b.count() == 1 ? 0 : 1;
  for_pieces(y.count(), y.columns(), [&](int64_t row, int64_t column, int64_t n) {
    alignas(64) float left[kPiece], right[kPiece];
    rows.load(a.dtype(), a.at(row * a_step, column), n, left);
    rows.load(b.dtype(), b.at(row * b_step, column), n, right);
    rows.combine(kind, left, right, n, left);
    rows.store(y.dtype(), left, n, y.at(row, column));
  });
}

template <const Kernels& kernels>
constexpr ops::Implementation implementation(std::string_view name) {
  return {.name = name,
          .op = ops::Binary::kName,
          .supports = supports<kernels>,
          .prepare = ops::prepare_attributes<ops::Binary>,
          .run = run<kernels>};
}

}  // namespace

TENON_CPU_EACH_ISA(Binary, "binary__any__")
#endif
}  // namespace tenon::cpu
