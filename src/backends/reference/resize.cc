#include "ops/resize.h"

#include <algorithm>

#include "backends/reference/access.h"
#include "backends/reference/impl_list.h"

namespace tenon::reference {
namespace {

// Where an element of the result lies between two of x.
struct Between {
  int64_t low, high;
  double share;  // of `high`
};

// Positions are computed in f32, as torch does: in double, pictures of odd sizes would pick other
// neighbours at ties.
Between between(int64_t index, int64_t from, int64_t to) {
  float scale = static_cast<float>(from) / static_cast<float>(to);
  float position = std::max(0.0f, (static_cast<float>(index) + 0.5f) * scale - 0.5f);
  auto low = std::min<int64_t>(static_cast<int64_t>(position), from - 1);
  return {low, std::min(low + 1, from - 1), position - static_cast<float>(low)};
}

void run(const ops::RunArgs& args) {
  Rows x(args.inputs[0]), y(args.outputs[0]);
  const Extents &from = args.inputs[0].extents, &to = args.outputs[0].extents;
  for (int64_t pixel = 0; pixel < y.count(); ++pixel) {
    int64_t first = pixel / to[2] / to[1] * from[1];
    Between rows = between(pixel / to[2] % to[1], from[1], to[1]);
    Between columns = between(pixel % to[2], from[2], to[2]);
    auto at = [&](int64_t row, int64_t column, int64_t channel) {
      return x.get((first + row) * from[2] + column, channel);
    };
    for (int64_t c = 0; c < y.columns(); ++c) {
      auto mixed = [&](int64_t row) {
        return (1 - columns.share) * at(row, columns.low, c) +
               columns.share * at(row, columns.high, c);
      };
      y.set(pixel, c, (1 - rows.share) * mixed(rows.low) + rows.share * mixed(rows.high));
    }
  }
}

}  // namespace

const ops::Implementation kResize = {
    .name = "resize__reference",
    .op = ops::Resize::kName,
    .supports = [](const ops::OpDesc& desc) { return support_floats(desc, {0}, {0}); },
    .prepare = ops::prepare_attributes<ops::Resize>,
    .run = run,
};

}  // namespace tenon::reference
