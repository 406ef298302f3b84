#include "ops/rms_norm.h"

#include <cmath>

#include "backends/reference/access.h"
#include "backends/reference/impl_list.h"

namespace tenon::reference {
namespace {

// y is made from s before s is rounded into `sum`.
void run(const ops::RunArgs& args) {
  const ops::RmsNorm& op = ops::attributes_of<ops::RmsNorm>(args);
  TensorView residual = input_or_none(args, 2), sum = output_or_none(args, 1);
  Rows x(args.inputs[0]), y(args.outputs[0]);
  std::vector<double> weight = Rows(args.inputs[1]).get_row(0);
  for (int64_t row = 0; row < x.count(); ++row) {
    std::vector<double> s = x.get_row(row);
    for (size_t i = 0; i < s.size() && residual.defined(); ++i) s[i] += Rows(residual).get(row, i);
    double squares = 0;
    for (double value : s) squares += value * value;
    double root = std::sqrt(squares / static_cast<double>(s.size()) + op.eps);
    for (size_t i = 0; i < s.size(); ++i) y.set(row, i, s[i] / root * weight[i]);
    if (sum.defined()) Rows(sum).set_row(row, s);
  }
}

}  // namespace

const ops::Implementation kRmsNorm = {
    .name = "rms_norm__reference",
    .op = ops::RmsNorm::kName,
    .supports =
        [](const ops::OpDesc& desc) {
          return support_floats(desc, {0, 1, 2}, {0, 1});
        },
    .prepare = ops::prepare_attributes<ops::RmsNorm>,
    .run = run,
};

}  // namespace tenon::reference
