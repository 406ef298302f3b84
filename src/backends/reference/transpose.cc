#include "ops/transpose.h"

#include "backends/reference/access.h"
#include "backends/reference/impl_list.h"

namespace tenon::reference {
namespace {

void run(const ops::RunArgs& args) {
  Rows x(args.inputs[0].permuted(ops::attributes_of<ops::Transpose>(args).permutation));
  Rows y(args.outputs[0]);
  for (int64_t row = 0; row < y.count(); ++row) y.set_row(row, x.get_row(row));
}

}  // namespace

const ops::Implementation kTranspose = {
    .name = "transpose__reference",
    .op = ops::Transpose::kName,
    .supports = [](const ops::OpDesc& desc) { return support_floats(desc, {0}, {0}); },
    .prepare = ops::prepare_attributes<ops::Transpose>,
    .run = run,
};

}  // namespace tenon::reference
