#include "imaging/polygons.h"

namespace tenon::imaging {
namespace {

enum Direction { kRight, kDown, kLeft, kUp };
constexpr int kStepX[] = {1, 0, -1, 0}, kStepY[] = {0, 1, 0, -1};

class Tracer {
 public:
  explicit Tracer(const Mask& mask)
      : mask_(mask), seen_(static_cast<size_t>((mask.width + 1) * (mask.height + 1))) {}

  std::vector<Polygon> run() {
    std::vector<Polygon> polygons;
    for (int64_t y = 0; y <= mask_.height; ++y) {
      for (int64_t x = 0; x < mask_.width; ++x) {
        // Every outline has an edge that runs right (above a region) or left (above a hole's end).
        if (leaves(x, y, kRight) && !is_seen(x, y, kRight)) polygons.push_back(trace(x, y));
      }
    }
    return polygons;
  }

 private:
  bool inside(int64_t x, int64_t y) const {
    return x >= 0 && y >= 0 && x < mask_.width && y < mask_.height && mask_.at(x, y);
  }
  // Whether an edge of an outline leaves corner (x, y) in that direction: the mask to its right
  // hand, no mask to its left.
  bool leaves(int64_t x, int64_t y, int direction) const {
    bool south_east = inside(x, y), south_west = inside(x - 1, y);
    bool north_east = inside(x, y - 1), north_west = inside(x - 1, y - 1);
    switch (direction) {
      case kRight:
        return south_east && !north_east;
      case kDown:
        return south_west && !south_east;
      case kLeft:
        return north_west && !south_west;
      default:
        return north_east && !north_west;
    }
  }
  uint8_t& seen(int64_t x, int64_t y) { return seen_[y * (mask_.width + 1) + x]; }
  bool is_seen(int64_t x, int64_t y, int direction) { return seen(x, y) >> direction & 1; }

  Polygon trace(int64_t x, int64_t y) {
    Polygon polygon;
    int direction = kRight, before = -1;
    int64_t twice_area = 0;
    while (!is_seen(x, y, direction)) {
      seen(x, y) |= static_cast<uint8_t>(1 << direction);
      if (direction != before) polygon.corners.push_back({x, y});
      int64_t next_x = x + kStepX[direction], next_y = y + kStepY[direction];
      twice_area += x * next_y - next_x * y;
      x = next_x, y = next_y;
      before = direction;
      // The sharpest turn to the right first keeps pixels that touch at a corner apart.
      for (int turn : {1, 0, 3}) {
        direction = (before + turn) % 4;
        if (leaves(x, y, direction)) break;
      }
    }
    // It began in the middle of a straight line only if that line ends it, too.
    if (polygon.corners.size() > 1 && before == kRight)
      polygon.corners.erase(polygon.corners.begin());
    polygon.hole = twice_area < 0;
    return polygon;
  }

  const Mask& mask_;
  std::vector<uint8_t> seen_;  // a bit a direction for each corner
};

}  // namespace

std::vector<Polygon> outlines(const Mask& mask) {
  return Tracer(mask).run();
}

}  // namespace tenon::imaging
