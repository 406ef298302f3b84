#include "ops/conv.h"

#include "backends/reference/access.h"
#include "backends/reference/functions.h"
#include "backends/reference/impl_list.h"

namespace tenon::reference {
namespace {

// The sum over the kernel for one element of y, before bias and activation.
double convolve(const ops::Conv& op, const TensorView& x_view, const TensorView& weight_view,
                int64_t picture, int64_t row, int64_t column, int64_t out) {
  Rows x(x_view), weight(weight_view);
  const Extents &size = x_view.extents, &kernel = weight_view.extents;
  int64_t first_channel = out / (kernel[0] / op.groups) * kernel[3];
  double sum = 0;
  for (int64_t i = 0; i < kernel[1]; ++i) {
    int64_t from_row = row * op.strides[0] - op.pads[0] + i * op.dilations[0];
    if (from_row < 0 || from_row >= size[1]) continue;
    for (int64_t j = 0; j < kernel[2]; ++j) {
      int64_t from_column = column * op.strides[1] - op.pads[1] + j * op.dilations[1];
      if (from_column < 0 || from_column >= size[2]) continue;
      int64_t pixel = (picture * size[1] + from_row) * size[2] + from_column;
      int64_t tap = (out * kernel[1] + i) * kernel[2] + j;
      for (int64_t c = 0; c < kernel[3]; ++c) {
        sum += x.get(pixel, first_channel + c) * weight.get(tap, c);
      }
    }
  }
  return sum;
}

void run(const ops::RunArgs& args) {
  const ops::Conv& op = ops::attributes_of<ops::Conv>(args);
  TensorView bias = input_or_none(args, 2);
  UnaryFunction activation = op.activation.empty() ? nullptr : unary_function(op.activation);
  Rows y(args.outputs[0]);
  int64_t height = args.outputs[0].extents[1], width = args.outputs[0].extents[2];
  for (int64_t pixel = 0; pixel < y.count(); ++pixel) {
    for (int64_t out = 0; out < y.columns(); ++out) {
      double sum = convolve(op, args.inputs[0], args.inputs[1], pixel / width / height,
                            pixel / width % height, pixel % width, out);
      if (bias.defined()) sum += Rows(bias).get(0, out);
      y.set(pixel, out, activation ? activation(sum) : sum);
    }
  }
}

}  // namespace

const ops::Implementation kConv = {
    .name = "conv__reference",
    .op = ops::Conv::kName,
    .supports =
        [](const ops::OpDesc& desc) {
          return support_floats(desc, {0, 1, 2}, {0});
        },
    .prepare = ops::prepare_attributes<ops::Conv>,
    .run = run,
};

}  // namespace tenon::reference
