#include "ops/fourier_features.h"

#include <cmath>
#include <numbers>

#include "backends/reference/access.h"
#include "backends/reference/impl_list.h"

namespace tenon::reference {
namespace {

void run(const ops::RunArgs& args) {
  Rows x(args.inputs[0]), frequencies(args.inputs[1]), y(args.outputs[0]);
  for (int64_t row = 0; row < y.count(); ++row) {
    for (int64_t i = 0; i < frequencies.columns(); ++i) {
      double phase = 0;
      for (int64_t d = 0; d < x.columns(); ++d) {
        phase += (2 * x.get(row, d) - 1) * frequencies.get(d, i);
      }
      y.set(row, i, std::sin(2 * std::numbers::pi * phase));
      y.set(row, frequencies.columns() + i, std::cos(2 * std::numbers::pi * phase));
    }
  }
}

}  // namespace

const ops::Implementation kFourierFeatures = {
    .name = "fourier_features__reference",
    .op = ops::FourierFeatures::kName,
    .supports =
        [](const ops::OpDesc& desc) {
          return support_floats(desc, {0, 1}, {0});
        },
    .run = run,
};

}  // namespace tenon::reference
