#include "backends/cuda/kernels/linear.h"

#include <limits>

#include "backends/cuda/kernels/support.h"
#include "backends/cuda/launch.h"

namespace tenon::cuda {
namespace {

MatrixRef matrix_of(const TensorView& view, std::string_view name) {
  MatrixRef matrix{view.data, view.dtype, view.columns()};
  if (view.rank() < 2) return matrix;
  matrix.pitch = view.strides[view.rank() - 2];
  int64_t step = matrix.pitch;
  bool uniform = view.strides[view.rank() - 1] == 1 || view.columns() <= 1;
  for (int axis = view.rank() - 2; axis >= 0; --axis) {
    uniform = uniform && (view.extents[axis] <= 1 || view.strides[axis] == step);
    step *= view.extents[axis];
  }
  if (!uniform && view.count() > 0) {
    throw Error(ErrorCode::Unsupported, "rows do not lie at one distance").at(name);
  }
  return matrix;
}

}  // namespace

LinearCall linear_call(const ops::RunArgs& args) {
  LinearCall call;
  call.x = matrix_of(args.inputs[0], "x");
  call.weight = matrix_of(args.inputs[1], "weight");
  call.y = matrix_of(args.outputs[0], "y");
  TensorView bias = input_or_none(args, 2), residual = input_or_none(args, 3);
  if (bias.defined()) call.bias = bias.data, call.bias_dtype = bias.dtype;
  if (residual.defined()) call.residual = matrix_of(residual, "residual");
  const auto& prepared = *static_cast<const PreparedLinear*>(args.prepared);
  call.activation = prepared.activation;
  call.library_activation = prepared.library_activation;
  call.variant = prepared.variant;
  call.bucket_rows = prepared.bucket_rows;
  call.m = static_cast<int>(args.outputs[0].rows());
  call.n = static_cast<int>(args.inputs[1].extents[0]);
  call.k = static_cast<int>(args.inputs[1].extents[1]);
  call.stream = stream_of(args);
  call.workspace = args.workspace;
  return call;
}

int64_t linear_rows(const ops::OpDesc& desc) {
  const Extents& x = desc.inputs[0].extents;
  int64_t rows = 1;
  for (int axis = 0; axis + 1 < x.rank(); ++axis) rows *= x[axis];
  return rows;
}

ops::Support support_linear(const ops::OpDesc& desc) {
  ops::Support support = support_floats(desc, {0, 1, 2, 3}, {0});
  if (!support.ok) return support;
  const Extents& weight = desc.inputs[1].extents;
  int64_t most = std::numeric_limits<int32_t>::max() / 2;
  if (linear_rows(desc) > most || weight[0] > most || weight[1] > most) {
    return ops::Support::no("an extent is above 2^30");
  }
  return support;
}

}  // namespace tenon::cuda
