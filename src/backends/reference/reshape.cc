#include "ops/reshape.h"

#include "backends/reference/access.h"
#include "backends/reference/impl_list.h"

namespace tenon::reference {
namespace {

void run(const ops::RunArgs& args) {
  Rows x(args.inputs[0]), y(args.outputs[0]);
  if (args.inputs[0].count() != args.outputs[0].count()) {
    throw Error(ErrorCode::BadInput, "reshape keeps the count of elements")
        .at("shape")
        .got(args.inputs[0].extents.to_string())
        .accepted("as many as " + args.outputs[0].extents.to_string() + " has");
  }
  for (int64_t i = 0; i < args.outputs[0].count(); ++i) {
    y.set(i / y.columns(), i % y.columns(), x.get(i / x.columns(), i % x.columns()));
  }
}

}  // namespace

const ops::Implementation kReshape = {
    .name = "reshape__reference",
    .op = ops::Reshape::kName,
    .supports = [](const ops::OpDesc& desc) { return support_floats(desc, {0}, {0}); },
    .prepare = ops::prepare_attributes<ops::Reshape>,
    .run = run,
};

}  // namespace tenon::reference
