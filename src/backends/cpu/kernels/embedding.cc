#include "ops/embedding.h"

#include <cstring>

#include "backends/cpu/impl_list.h"
#include "backends/cpu/kernels/pieces.h"
#include "backends/cpu/kernels/row_access.h"
#include "backends/cpu/kernels/tables.h"

namespace tenon::cpu {
#if defined(TENON_CPU_SIMD)
namespace {

template <const Kernels& kernels>
ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = cpu_supports(kernels.isa);
  return support.ok ? support_floats(desc, {1, 2}, {0}) : support;
}

template <const Kernels& kernels>
void run(const ops::RunArgs& args) {
  const TensorView& ids = args.inputs[0];
  RowAccess table(args.inputs[1]), embeds(input_or_none(args, 2)), y(args.outputs[0]);
  for_pieces(y.count(), y.columns(), [&](int64_t row, int64_t column, int64_t n) {
    int64_t id = ids.as<const int32_t>()[row * ids.strides[0]];
    if (id >= table.count() || -1 - id >= embeds.count()) {
      throw Error(ErrorCode::BadInput, "id is outside the table and the given embeddings")
          .at("ids")
          .got(std::to_string(id));
    }
    const RowAccess& from = id >= 0 ? table : embeds;
    const std::byte* source = from.at(id >= 0 ? id : -1 - id, column);
    if (from.dtype() == y.dtype()) {
      std::memcpy(y.at(row, column), source, n * y.element_bytes());
      return;
    }
    alignas(64) float values[kPiece];
    kernels.rows->load(from.dtype(), source, n, values);
    kernels.rows->store(y.dtype(), values, n, y.at(row, column));
  });
}

template <const Kernels& kernels>
constexpr ops::Implementation implementation(std::string_view name) {
  return {.name = name,
          .op = ops::Embedding::kName,
          .supports = supports<kernels>,
          .prepare = ops::prepare_attributes<ops::Embedding>,
          .run = run<kernels>};
}

}  // namespace

TENON_CPU_EACH_ISA(Embedding, "embedding__any__")
#endif
}  // namespace tenon::cpu
