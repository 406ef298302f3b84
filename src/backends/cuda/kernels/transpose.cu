#include "ops/transpose.h"

#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/copy_rows.cuh"
#include "backends/cuda/kernels/support.h"

namespace tenon::cuda {
namespace {

void run(const ops::RunArgs& args) {
  if (args.outputs[0].count() == 0) return;
  TensorView x = args.inputs[0].permuted(ops::attributes_of<ops::Transpose>(args).permutation);
  copy_rows(args, kTranspose.name, x, args.outputs[0], AllRows());
}

}  // namespace

const ops::Implementation kTranspose = {
    .name = "transpose__any__256x16b__sm80",
    .op = ops::Transpose::kName,
    .supports = [](const ops::OpDesc& desc) { return support_floats(desc, {0}, {0}); },
    .prepare = ops::prepare_attributes<ops::Transpose>,
    .run = run};

}  // namespace tenon::cuda
