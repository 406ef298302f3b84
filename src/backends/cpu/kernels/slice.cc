#include "ops/slice.h"

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
  const auto& op = ops::attributes_of<ops::Slice>(args);
  int axis = static_cast<int>(op.axis);
  RowAccess x(args.inputs[0].slice(axis, op.begin, op.end)), y(args.outputs[0]);
  for_pieces(y.count(), y.columns(), [&](int64_t row, int64_t column, int64_t n) {
    std::memcpy(y.at(row, column), x.at(row, column), n * y.element_bytes());
  });
}

}  // namespace

const ops::Implementation kSlice = {
    .name = "slice__any__cpu",
    .op = ops::Slice::kName,
    .supports = supports,
    .prepare = ops::prepare_attributes<ops::Slice>,
    .run = run,
};

}  // namespace tenon::cpu
