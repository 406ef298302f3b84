#include "ops/linear.h"

#include "backends/reference/access.h"
#include "backends/reference/functions.h"
#include "backends/reference/impl_list.h"

namespace tenon::reference {
namespace {

// The weight row is the outer loop: as a fallback this reads a large weight once a call, not once a
// row of x.
void run(const ops::RunArgs& args) {
  const ops::Linear& op = ops::attributes_of<ops::Linear>(args);
  TensorView bias = input_or_none(args, 2), residual = input_or_none(args, 3);
  UnaryFunction activation = op.activation.empty() ? nullptr : unary_function(op.activation);
  Rows x(args.inputs[0]), weight(args.inputs[1]), y(args.outputs[0]);

  std::vector<std::vector<double>> x_rows;
  for (int64_t row = 0; row < y.count(); ++row) x_rows.push_back(x.get_row(row));
  for (int64_t out = 0; out < y.columns() && !x_rows.empty(); ++out) {
    std::vector<double> weight_row = weight.get_row(out);
    for (int64_t row = 0; row < y.count(); ++row) {
      double sum = 0;
      for (size_t i = 0; i < weight_row.size(); ++i) sum += x_rows[row][i] * weight_row[i];
      if (bias.defined()) sum += Rows(bias).get(0, out);
      if (activation) sum = activation(sum);
      if (residual.defined()) sum += Rows(residual).get(row, out);
      y.set(row, out, sum);
    }
  }
}

}  // namespace

const ops::Implementation kLinear = {
    .name = "linear__reference",
    .op = ops::Linear::kName,
    .supports =
        [](const ops::OpDesc& desc) {
          return support_floats(desc, {0, 1, 2, 3}, {0});
        },
    .prepare = ops::prepare_attributes<ops::Linear>,
    .run = run,
};

}  // namespace tenon::reference
