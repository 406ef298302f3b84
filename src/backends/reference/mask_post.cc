#include "ops/mask_post.h"

#include <algorithm>

#include "backends/reference/access.h"
#include "backends/reference/impl_list.h"

namespace tenon::reference {
namespace {

// What one mask is asked for, pixel by pixel.
class Plane {
 public:
  Plane(const ops::RunArgs& args, int64_t plane)
      : masks_(args.inputs[0]),
        taps_y_(args.inputs[2]),
        taps_x_(args.inputs[3]),
        first_(plane * args.inputs[0].extents[1]) {}

  bool has_row(int64_t y) const { return taps_y_.get(y, 0) >= 0; }
  double value(int64_t x, int64_t y) const {
    auto row = static_cast<int64_t>(taps_y_.get(y, 0));
    auto column = static_cast<int64_t>(taps_x_.get(x, 0));
    double sum = 0;
    for (int64_t i = 0; i < 3; ++i) {
      for (int64_t j = 0; j < 3; ++j) {
        double weight = taps_y_.get(y, 1 + i) * taps_x_.get(x, 1 + j);
        // A neighbour that does not count need not be there.
        if (weight != 0) sum += weight * masks_.get(first_ + row + i, column + j);
      }
    }
    return sum;
  }

 private:
  Rows masks_, taps_y_, taps_x_;
  int64_t first_;
};

struct Counts {
  int32_t certain = 0, possible = 0, x0 = 0, y0 = 0, x1 = -1, y1 = -1;

  void add(int32_t x, int32_t y) {
    bool first = x1 < 0;
    x0 = first ? x : std::min(x0, x), y0 = first ? y : std::min(y0, y);
    x1 = std::max(x1, x), y1 = std::max(y1, y);
  }
};

void run(const ops::RunArgs& args) {
  const TensorView &bits = args.outputs[0], &counts = args.outputs[1];
  int64_t width = bits.extents[1], words = bits.extents[2];
  const auto* levels = args.inputs[4].as<float>();
  for (int64_t i = 0; i < bits.extents[0]; ++i) {
    Plane plane(args, args.inputs[1].as<int32_t>()[i]);
    Counts found;
    for (int64_t x = 0; x < width; ++x) {
      for (int64_t word = 0; word < words; ++word) {
        uint32_t column = 0;
        for (int64_t y = word * 32; y < (word + 1) * 32; ++y) {
          if (!plane.has_row(y)) continue;
          double value = plane.value(x, y);
          found.certain += value > levels[1];
          found.possible += value > levels[2];
          if (!(value > levels[0])) continue;
          column |= 1u << (y % 32);
          found.add(static_cast<int32_t>(x), static_cast<int32_t>(y));
        }
        bits.as<int32_t>()[(i * width + x) * words + word] = static_cast<int32_t>(column);
      }
    }
    bool empty = found.x1 < 0;
    const int32_t all[] = {found.certain, found.possible,       found.x0,
                           found.y0,      empty ? 0 : found.x1, empty ? 0 : found.y1};
    std::copy(std::begin(all), std::end(all), counts.as<int32_t>() + i * 6);
  }
}

}  // namespace

const ops::Implementation kMaskPost = {
    .name = "mask_post__reference",
    .op = ops::MaskPost::kName,
    .supports =
        [](const ops::OpDesc& desc) {
          return support_floats(desc, {0, 2, 3, 4}, {});
        },
    .run = run,
};

}  // namespace tenon::reference
