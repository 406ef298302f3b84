#include "ops/glu.h"

#include "backends/reference/access.h"
#include "backends/reference/functions.h"
#include "backends/reference/impl_list.h"

namespace tenon::reference {
namespace {

void run(const ops::RunArgs& args) {
  UnaryFunction function = unary_function(ops::attributes_of<ops::Glu>(args).kind);
  Rows x(args.inputs[0]), y(args.outputs[0]);
  int64_t half = y.columns();
  for (int64_t row = 0; row < y.count(); ++row) {
    for (int64_t i = 0; i < half; ++i)
      y.set(row, i, function(x.get(row, i)) * x.get(row, half + i));
  }
}

}  // namespace

const ops::Implementation kGlu = {
    .name = "glu__reference",
    .op = ops::Glu::kName,
    .supports = [](const ops::OpDesc& desc) { return support_floats(desc, {0}, {0}); },
    .prepare = ops::prepare_attributes<ops::Glu>,
    .run = run,
};

}  // namespace tenon::reference
