#include "ops/slice.h"

#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/copy_rows.cuh"
#include "backends/cuda/kernels/support.h"

namespace tenon::cuda {
namespace {

ops::Support supports(const ops::OpDesc& desc) {
  return support_floats(desc, {0}, {0});
}

void run(const ops::RunArgs& args) {
  const ops::Slice& op = ops::attributes_of<ops::Slice>(args);
  if (args.outputs[0].count() == 0) return;
  TensorView part = args.inputs[0].slice(static_cast<int>(op.axis), op.begin, op.end);
  copy_rows(args, kSlice.name, part, args.outputs[0], AllRows());
}

}  // namespace

const ops::Implementation kSlice = {.name = "slice__any__256x16b__sm80",
                                    .op = ops::Slice::kName,
                                    .supports = supports,
                                    .prepare = ops::prepare_attributes<ops::Slice>,
                                    .run = run};

}  // namespace tenon::cuda
