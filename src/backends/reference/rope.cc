#include "ops/rope.h"

#include "backends/reference/impl_list.h"
#include "backends/reference/rotate.h"

namespace tenon::reference {
namespace {

void run(const ops::RunArgs& args) {
  const ops::Rope& op = ops::attributes_of<ops::Rope>(args);
  const TensorView &positions = args.inputs[1], &inv_freq = args.inputs[2];
  Rows x(args.inputs[0]), y(args.outputs[0]);
  for (int64_t t = 0; t < x.count(); ++t) {
    std::vector<double> values = x.get_row(t);
    for (int64_t first = 0; first < x.columns(); first += op.head_dim) {
      rotate_head(values, first, load_i32(positions, t), inv_freq, op.interleaved, op.scale);
    }
    y.set_row(t, values);
  }
}

}  // namespace

const ops::Implementation kRope = {
    .name = "rope__reference",
    .op = ops::Rope::kName,
    .supports =
        [](const ops::OpDesc& desc) {
          return support_floats(desc, {0, 2}, {0});
        },
    .prepare = ops::prepare_attributes<ops::Rope>,
    .run = run,
};

}  // namespace tenon::reference
