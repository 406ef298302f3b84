#include "ops/concat.h"

#include "backends/reference/access.h"
#include "backends/reference/impl_list.h"

namespace tenon::reference {
namespace {

// `part` seen with the extents of its place in y: axes of extent 1 repeat.
TensorView repeated(TensorView part, const TensorView& place, int64_t axis) {
  for (int i = 0; i < part.rank(); ++i) {
    if (i == axis || part.extents[i] == place.extents[i]) continue;
    TENON_CHECK(part.extents[i] == 1);
    part.extents[i] = place.extents[i];
    part.strides[i] = 0;
  }
  return part;
}

void run(const ops::RunArgs& args) {
  auto axis = static_cast<int>(ops::attributes_of<ops::Concat>(args).axis);
  int64_t begin = 0;
  for (const TensorView& part : args.inputs) {
    TensorView place = args.outputs[0].slice(axis, begin, begin + part.extents[axis]);
    Rows from(repeated(part, place, axis)), to(place);
    for (int64_t row = 0; row < to.count(); ++row) to.set_row(row, from.get_row(row));
    begin += part.extents[axis];
  }
}

ops::Support supports(const ops::OpDesc& desc) {
  for (size_t i = 0; i < desc.inputs.size(); ++i) {
    ops::Support support = support_floats(desc, {i}, {0});
    if (!support.ok) return support;
  }
  return ops::Support::yes();
}

}  // namespace

const ops::Implementation kConcat = {
    .name = "concat__reference",
    .op = ops::Concat::kName,
    .supports = supports,
    .prepare = ops::prepare_attributes<ops::Concat>,
    .run = run,
};

}  // namespace tenon::reference
