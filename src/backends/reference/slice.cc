#include "ops/slice.h"

#include "backends/reference/access.h"
#include "backends/reference/impl_list.h"

namespace tenon::reference {
namespace {

void run(const ops::RunArgs& args) {
  const ops::Slice& op = ops::attributes_of<ops::Slice>(args);
  Rows part(args.inputs[0].slice(static_cast<int>(op.axis), op.begin, op.end));
  Rows y(args.outputs[0]);
  for (int64_t row = 0; row < y.count(); ++row) y.set_row(row, part.get_row(row));
}

}  // namespace

const ops::Implementation kSlice = {
    .name = "slice__reference",
    .op = ops::Slice::kName,
    .supports = [](const ops::OpDesc& desc) { return support_floats(desc, {0}, {0}); },
    .prepare = ops::prepare_attributes<ops::Slice>,
    .run = run,
};

}  // namespace tenon::reference
