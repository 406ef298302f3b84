#include "cli/sketch.h"

#include <algorithm>
#include <vector>

namespace tenon::cli {
namespace {

// Whether the mask covers half of its pixels in [x0, x1) x [y0, y1) or more.
bool covers(const imaging::Mask& mask, int64_t x0, int64_t x1, int64_t y0, int64_t y1) {
  int64_t inside = 0;
  for (int64_t y = y0; y < y1; ++y) {
    const uint8_t* row = mask.row(y);
    inside += std::count_if(row + x0, row + x1, [](uint8_t pixel) { return pixel != 0; });
  }
  return 2 * inside >= (x1 - x0) * (y1 - y0);
}

char letter(size_t index, size_t count) {
  if (count == 1) return '#';
  return index < 26 ? static_cast<char>('a' + index) : '*';
}

}  // namespace

std::string sketch(std::span<const imaging::Mask> masks, int64_t columns) {
  if (masks.empty()) return "";
  const int64_t width = masks[0].width, height = masks[0].height;
  columns = std::clamp<int64_t>(columns, 1, width);
  int64_t rows = std::clamp<int64_t>((height * columns + width) / (2 * width), 1, height);
  std::vector<size_t> order(masks.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::vector<int64_t> areas;
  for (const imaging::Mask& mask : masks) areas.push_back(imaging::area(mask));
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return areas[a] < areas[b]; });
  std::string text;
  for (int64_t row = 0; row < rows; ++row) {
    int64_t y0 = row * height / rows, y1 = (row + 1) * height / rows;
    for (int64_t column = 0; column < columns; ++column) {
      int64_t x0 = column * width / columns, x1 = (column + 1) * width / columns;
      auto found = std::find_if(order.begin(), order.end(),
                                [&](size_t i) { return covers(masks[i], x0, x1, y0, y1); });
      text += found == order.end() ? '.' : letter(*found, masks.size());
    }
    text += '\n';
  }
  return text;
}

}  // namespace tenon::cli
