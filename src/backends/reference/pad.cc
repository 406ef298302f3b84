#include "ops/pad.h"

#include "backends/reference/access.h"
#include "backends/reference/impl_list.h"

namespace tenon::reference {
namespace {

void run(const ops::RunArgs& args) {
  const ops::Pad& op = ops::attributes_of<ops::Pad>(args);
  TensorView inner = args.outputs[0];
  Rows y(inner);
  std::vector<double> fill(y.columns(), op.value);
  for (int64_t row = 0; row < y.count(); ++row) y.set_row(row, fill);
  for (int axis = 0; axis < inner.rank(); ++axis) {
    inner = inner.slice(axis, op.before[axis], op.before[axis] + args.inputs[0].extents[axis]);
  }
  Rows from(args.inputs[0]), to(inner);
  for (int64_t row = 0; row < to.count(); ++row) to.set_row(row, from.get_row(row));
}

}  // namespace

const ops::Implementation kPad = {
    .name = "pad__reference",
    .op = ops::Pad::kName,
    .supports = [](const ops::OpDesc& desc) { return support_floats(desc, {0}, {0}); },
    .prepare = ops::prepare_attributes<ops::Pad>,
    .run = run,
};

}  // namespace tenon::reference
