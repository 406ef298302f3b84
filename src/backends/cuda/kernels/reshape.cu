#include "ops/reshape.h"

#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/copy_rows.cuh"
#include "backends/cuda/kernels/support.h"

namespace tenon::cuda {
namespace {

void run(const ops::RunArgs& args) {
  TensorView x = args.inputs[0], y = args.outputs[0];
  if (x.count() != y.count()) {
    throw Error(ErrorCode::BadInput, "reshape keeps the count of elements")
        .at("shape")
        .got(x.extents.to_string())
        .accepted("as many as " + y.extents.to_string() + " has");
  }
  if (y.count() == 0) return;
  flatten_if_contiguous(x, y);
  // A contiguous side takes the other's shape; a session's results are contiguous.
  if (x.extents != y.extents) {
    if (y.is_contiguous()) {
      y = y.reshaped(x.extents);
    } else if (x.is_contiguous()) {
      x = x.reshaped(y.extents);
    } else {
      throw Error(ErrorCode::Unsupported, "reshape from strided rows to strided rows");
    }
  }
  copy_rows(args, kReshape.name, x, y, AllRows());
}

}  // namespace

const ops::Implementation kReshape = {
    .name = "reshape__any__256x16b__sm80",
    .op = ops::Reshape::kName,
    .supports = [](const ops::OpDesc& desc) { return support_floats(desc, {0}, {0}); },
    .prepare = ops::prepare_attributes<ops::Reshape>,
    .run = run};

}  // namespace tenon::cuda
