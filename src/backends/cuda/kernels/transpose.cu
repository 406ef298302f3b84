#include "ops/transpose.h"

#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/copy_rows.cuh"
#include "backends/cuda/kernels/support.h"

namespace tenon::cuda {
namespace {

// The last axes become one where they follow each other in both, so that whole rows are moved.
void merge_last_axes(TensorView& x, TensorView& y) {
  while (x.rank() > 1) {
    int last = x.rank() - 1;
    bool follows = x.strides[last - 1] == x.strides[last] * x.extents[last] &&
                   y.strides[last - 1] == y.strides[last] * y.extents[last];
    if (!follows) return;
    for (TensorView* view : {&x, &y}) {
      Extents extents, strides;
      for (int axis = 0; axis < last; ++axis) {
        extents.push_back(view->extents[axis] * (axis == last - 1 ? view->extents[last] : 1));
        strides.push_back(axis == last - 1 ? view->strides[last] : view->strides[axis]);
      }
      view->extents = extents, view->strides = strides;
    }
  }
}

void run(const ops::RunArgs& args) {
  if (args.outputs[0].count() == 0) return;
  TensorView x = args.inputs[0].permuted(ops::attributes_of<ops::Transpose>(args).permutation);
  TensorView y = args.outputs[0];
  merge_last_axes(x, y);
  copy_rows(args, kTranspose.name, x, y, AllRows());
}

}  // namespace

const ops::Implementation kTranspose = {
    .name = "transpose__any__256x16b__sm80",
    .op = ops::Transpose::kName,
    .supports = [](const ops::OpDesc& desc) { return support_floats(desc, {0}, {0}); },
    .prepare = ops::prepare_attributes<ops::Transpose>,
    .run = run};

}  // namespace tenon::cuda
