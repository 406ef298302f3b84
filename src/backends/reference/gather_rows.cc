#include "ops/gather_rows.h"

#include "backends/reference/access.h"
#include "backends/reference/impl_list.h"

namespace tenon::reference {
namespace {

void run(const ops::RunArgs& args) {
  Rows x(args.inputs[0]), y(args.outputs[0]);
  const TensorView& rows = args.inputs[1];
  for (int64_t i = 0; i < rows.extents[0]; ++i) {
    int64_t row = load_i32(rows, i);
    if (row < 0 || row >= x.count()) {
      throw Error(ErrorCode::BadInput, "row is outside the input")
          .at("rows")
          .got(std::to_string(row));
    }
    y.set_row(i, x.get_row(row));
  }
}

}  // namespace

const ops::Implementation kGatherRows = {
    .name = "gather_rows__reference",
    .op = ops::GatherRows::kName,
    .supports = [](const ops::OpDesc& desc) { return support_floats(desc, {0}, {0}); },
    .prepare = ops::prepare_attributes<ops::GatherRows>,
    .run = run,
};

}  // namespace tenon::reference
