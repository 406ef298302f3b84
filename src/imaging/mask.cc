#include "imaging/mask.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace tenon::imaging {

int64_t area(const Mask& mask) {
  return std::accumulate(mask.pixels.begin(), mask.pixels.end(), int64_t{0});
}

Box bounding_box(const Mask& mask) {
  Box box{mask.width, mask.height, -1, -1};
  for (int64_t y = 0; y < mask.height; ++y) {
    const uint8_t* row = mask.row(y);
    const uint8_t* end = row + mask.width;
    const uint8_t* first = std::find(row, end, 1);
    if (first == end) continue;
    const uint8_t* last = end - 1;
    while (*last == 0) --last;
    box.x0 = std::min<int64_t>(box.x0, first - row);
    box.x1 = std::max<int64_t>(box.x1, last - row);
    box.y0 = std::min(box.y0, y);
    box.y1 = y;
  }
  return box.y1 < 0 ? Box{} : box;
}

Mask place(const Mask& mask, int64_t x0, int64_t y0, int64_t width, int64_t height) {
  TENON_CHECK(x0 >= 0 && y0 >= 0 && x0 + mask.width <= width && y0 + mask.height <= height);
  Mask whole = Mask::make(width, height);
  for (int64_t y = 0; y < mask.height; ++y)
    std::copy_n(mask.row(y), mask.width, whole.row(y0 + y) + x0);
  return whole;
}

}  // namespace tenon::imaging
