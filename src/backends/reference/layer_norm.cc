#include "ops/layer_norm.h"

#include <cmath>

#include "backends/reference/access.h"
#include "backends/reference/impl_list.h"

namespace tenon::reference {
namespace {

// y is made from s before s is rounded into `sum`.
void run(const ops::RunArgs& args) {
  const ops::LayerNorm& op = ops::attributes_of<ops::LayerNorm>(args);
  TensorView bias = input_or_none(args, 2), residual = input_or_none(args, 3);
  TensorView sum = output_or_none(args, 1);
  Rows x(args.inputs[0]), y(args.outputs[0]);
  std::vector<double> weight = Rows(args.inputs[1]).get_row(0);
  std::vector<double> shift(weight.size(), 0.0);
  if (bias.defined()) shift = Rows(bias).get_row(0);
  double size = static_cast<double>(x.columns());
  for (int64_t row = 0; row < x.count(); ++row) {
    std::vector<double> s = x.get_row(row);
    for (size_t i = 0; i < s.size() && residual.defined(); ++i) s[i] += Rows(residual).get(row, i);
    double mean = 0, variance = 0;
    for (double value : s) mean += value / size;
    for (double value : s) variance += (value - mean) * (value - mean) / size;
    for (size_t i = 0; i < s.size(); ++i) {
      y.set(row, i, (s[i] - mean) / std::sqrt(variance + op.eps) * weight[i] + shift[i]);
    }
    if (sum.defined()) Rows(sum).set_row(row, s);
  }
}

}  // namespace

const ops::Implementation kLayerNorm = {
    .name = "layer_norm__reference",
    .op = ops::LayerNorm::kName,
    .supports =
        [](const ops::OpDesc& desc) {
          return support_floats(desc, {0, 1, 2, 3}, {0, 1});
        },
    .prepare = ops::prepare_attributes<ops::LayerNorm>,
    .run = run,
};

}  // namespace tenon::reference
