#include "ops/cast.h"

#include "backends/reference/access.h"
#include "backends/reference/impl_list.h"

namespace tenon::reference {
namespace {

void run(const ops::RunArgs& args) {
  Rows x(args.inputs[0]), y(args.outputs[0]);
  for (int64_t row = 0; row < x.count(); ++row) y.set_row(row, x.get_row(row));
}

}  // namespace

const ops::Implementation kCast = {
    .name = "cast__reference",
    .op = ops::Cast::kName,
    .supports = [](const ops::OpDesc& desc) { return support_floats(desc, {0}, {0}); },
    .prepare = ops::prepare_attributes<ops::Cast>,
    .run = run,
};

}  // namespace tenon::reference
