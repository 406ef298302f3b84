#include "ops/fused.h"

#include <algorithm>

#include "backends/cpu/impl_list.h"
#include "backends/cpu/kernels/functions.h"
#include "backends/cpu/kernels/pieces.h"
#include "backends/cpu/kernels/row_access.h"
#include "backends/cpu/kernels/tables.h"

// The whole chain on one piece of a row before the next: what is in between never leaves the
// first-level cache.
namespace tenon::cpu {
#if defined(TENON_CPU_SIMD)
namespace {

using ops::Expression;

struct Prepared {
  Expression expression;
  Activation activations[std::size(ops::kUnaryKinds)];
};

template <const Kernels& kernels>
ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = cpu_supports(kernels.isa);
  if (support.ok) support = support_floats(desc, {0, 1, 2, 3, 4, 5, 6, 7}, {0});
  if (!support.ok) return support;
  auto op = ops::read_attributes<ops::Fused>(*desc.attributes);
  for (const Expression::Step& step : Expression::parse(op.expression).steps) {
    if (step.op != Expression::Op::Unary || has_activation(ops::kUnaryKinds[step.index])) continue;
    return ops::Support::no("kind has no vector form");
  }
  return ops::Support::yes();
}

std::shared_ptr<const void> prepare(const ops::OpDesc& desc) {
  auto prepared = std::make_shared<Prepared>();
  prepared->expression =
      Expression::parse(ops::read_attributes<ops::Fused>(*desc.attributes).expression);
  for (size_t i = 0; i < std::size(ops::kUnaryKinds); ++i) {
    prepared->activations[i] = activation_of(ops::kUnaryKinds[i]);
  }
  return prepared;
}

// An input as rows of the output. A last axis of one element is read once for each row.
struct Source {
  Source() = default;
  Source(const TensorView& view, const Extents& out) {
    TensorView rows = view;
    rows.extents = out;
    rows.strides = out;
    for (int axis = 0; axis < out.rank(); ++axis) {
      int own = axis - (out.rank() - view.rank());
      rows.strides[axis] = own >= 0 && view.extents[own] != 1 ? view.strides[own] : 0;
    }
    repeats = out.rank() > 0 && out.back() != 1 && view.columns() == 1;
    if (repeats) rows.extents[out.rank() - 1] = 1;
    access = RowAccess(rows);
  }
  void load(const RowKernels& kernels, int64_t row, int64_t column, int64_t n, float* to) const {
    if (!repeats) return kernels.load(access.dtype(), access.at(row, column), n, to);
    kernels.load(access.dtype(), access.at(row, 0), 1, to);
    std::fill(to + 1, to + n, to[0]);
  }
  RowAccess access;
  bool repeats = false;
};

// Runs the expression on n elements from (row, column) on; the result is in the first buffer.
void evaluate(const RowKernels& rows, const Prepared& prepared, const Source* sources, int64_t row,
              int64_t column, int64_t n, float (*stack)[kPiece]) {
  int top = -1;
  for (const Expression::Step& step : prepared.expression.steps) {
    switch (step.op) {
      case Expression::Op::Input:
        sources[step.index].load(rows, row, column, n, stack[++top]);
        break;
      case Expression::Op::Number:
        ++top;
        std::fill(stack[top], stack[top] + n, static_cast<float>(step.number));
        break;
      case Expression::Op::Unary:
        rows.activate(prepared.activations[step.index], n, stack[top]);
        break;
      case Expression::Op::Binary:
        --top;
        rows.combine(static_cast<Arithmetic>(step.index), stack[top], stack[top + 1], n,
                     stack[top]);
        break;
    }
  }
}

template <const Kernels& kernels>
void run(const ops::RunArgs& args) {
  const auto& prepared = *static_cast<const Prepared*>(args.prepared);
  RowAccess y(args.outputs[0]);
  Source sources[Expression::kMostInputs];
  for (size_t i = 0; i < args.inputs.size(); ++i) {
    sources[i] = Source(args.inputs[i], args.outputs[0].extents);
  }
  for_pieces(y.count(), y.columns(), [&](int64_t row, int64_t column, int64_t n) {
    alignas(64) float stack[Expression::kMostDepth][kPiece];
    evaluate(*kernels.rows, prepared, sources, row, column, n, stack);
    kernels.rows->store(y.dtype(), stack[0], n, y.at(row, column));
  });
}

template <const Kernels& kernels>
constexpr ops::Implementation implementation(std::string_view name) {
  return {.name = name,
          .op = ops::Fused::kName,
          .supports = supports<kernels>,
          .prepare = prepare,
          .run = run<kernels>};
}

}  // namespace

TENON_CPU_EACH_ISA(Fused, "fused__any__")
#endif
}  // namespace tenon::cpu
