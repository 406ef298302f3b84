#include "ops/quantised_linear.h"

#include <cmath>
#include <limits>

#include "backends/reference/access.h"
#include "backends/reference/functions.h"
#include "backends/reference/impl_list.h"
#include "tensor/formats/quantised_weight.h"

namespace tenon::reference {
namespace {

// The row as x_codes "i8" leaves it: codes and their scale, as the op's header says, in f32.
void round_row(std::vector<double>& row) {
  float largest = 0;
  bool finite = true;
  for (double value : row) {
    largest = std::max(largest, std::fabs(static_cast<float>(value)));
    finite = finite && std::isfinite(value);
  }
  float scale = largest / 127.0f, inverse = 127.0f / largest;
  for (double& value : row) {
    if (!finite) {
      value = std::numeric_limits<double>::quiet_NaN();
    } else if (largest < ops::kLeastRowMaximum) {
      value = 0;
    } else {
      value = static_cast<double>(scale) * std::nearbyint(static_cast<float>(value) * inverse);
    }
  }
}

std::vector<double> weight_row(const QuantisedWeight& weight, const PanelSizes& sizes, int64_t row,
                               int64_t in) {
  std::vector<double> values(in);
  for (int64_t i = 0; i < in; ++i) values[i] = weight.value(sizes, row, i);
  return values;
}

void run(const ops::RunArgs& args) {
  const auto& op = ops::attributes_of<ops::QuantisedLinear>(args);
  QuantisedWeight weight{args.inputs[1], args.inputs[2], input_or_none(args, 3)};
  TensorView bias = input_or_none(args, 4), residual = input_or_none(args, 5);
  PanelSizes sizes = panel_sizes(
      op.spec(weight.codes.dtype, weight.scales.dtype, weight.zeros.defined()), op.out, op.in);
  UnaryFunction activation = op.activation.empty() ? nullptr : unary_function(op.activation);
  Rows x(args.inputs[0]), y(args.outputs[0]);

  std::vector<std::vector<double>> x_rows;
  for (int64_t row = 0; row < y.count(); ++row) {
    x_rows.push_back(x.get_row(row));
    if (!op.x_codes.empty()) round_row(x_rows.back());
  }
  for (int64_t out = 0; out < op.out && !x_rows.empty(); ++out) {
    std::vector<double> values = weight_row(weight, sizes, out, op.in);
    for (int64_t row = 0; row < y.count(); ++row) {
      double sum = 0;
      for (int64_t i = 0; i < op.in; ++i) sum += x_rows[row][i] * values[i];
      if (bias.defined()) sum += Rows(bias).get(0, out);
      if (activation) sum = activation(sum);
      if (residual.defined()) sum += Rows(residual).get(row, out);
      y.set(row, out, sum);
    }
  }
}

}  // namespace

const ops::Implementation kQuantisedLinear = {
    .name = "quantised_linear__reference",
    .op = ops::QuantisedLinear::kName,
    .supports =
        [](const ops::OpDesc& desc) {
          return support_floats(desc, {0, 4, 5}, {0});
        },
    .prepare = ops::prepare_attributes<ops::QuantisedLinear>,
    .run = run,
};

}  // namespace tenon::reference
