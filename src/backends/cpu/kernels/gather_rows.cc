#include "ops/gather_rows.h"

#include <cstring>

#include "backends/cpu/impl_list.h"
#include "backends/cpu/kernels/pieces.h"
#include "backends/cpu/kernels/row_access.h"

namespace tenon::cpu {
namespace {

// Bytes are moved, whatever they mean; no ISA is asked for.
ops::Support supports(const ops::OpDesc& desc) {
  if (desc.inputs[0].quant) return ops::Support::no("x is quantised");
  if (dtype_bits(desc.inputs[0].dtype) % 8 != 0 || dtype_bits(desc.inputs[0].dtype) == 0) {
    return ops::Support::no("elements are not whole bytes");
  }
  return ops::Support::yes();
}

void run(const ops::RunArgs& args) {
  const TensorView& rows = args.inputs[1];
  RowAccess x(args.inputs[0]), y(args.outputs[0]);
  for_pieces(y.count(), y.columns(), [&](int64_t row, int64_t column, int64_t n) {
    int64_t from = rows.as<const int32_t>()[row * rows.strides[0]];
    if (from < 0 || from >= x.count()) {
      throw Error(ErrorCode::BadInput, "row is outside the input")
          .at("rows")
          .got(std::to_string(from));
    }
    std::memcpy(y.at(row, column), x.at(from, column), n * y.element_bytes());
  });
}

}  // namespace

const ops::Implementation kGatherRows = {
    .name = "gather_rows__any__cpu",
    .op = ops::GatherRows::kName,
    .supports = supports,
    .prepare = ops::prepare_attributes<ops::GatherRows>,
    .run = run,
};

}  // namespace tenon::cpu
