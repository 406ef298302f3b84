#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tenon::imaging {

// Which pixels belong to an object: 0 or 1 each, [height, width].
struct Mask {
  int64_t width = 0, height = 0;
  std::vector<uint8_t> pixels;

  static Mask make(int64_t width, int64_t height) {
    return {width, height, std::vector<uint8_t>(static_cast<size_t>(width * height))};
  }
  bool at(int64_t x, int64_t y) const { return pixels[static_cast<size_t>(y * width + x)] != 0; }
  uint8_t* row(int64_t y) { return pixels.data() + y * width; }
  const uint8_t* row(int64_t y) const { return pixels.data() + y * width; }
};

int64_t area(const Mask& mask);

// Left, top, right and bottom edges of the mask, the last two inclusive; zeros where it is empty.
// As segment_anything's batched_mask_to_box.
struct Box {
  int64_t x0 = 0, y0 = 0, x1 = 0, y1 = 0;
  bool operator==(const Box&) const = default;
};
Box bounding_box(const Mask& mask);

// The mask within a larger, empty one: its corner at (x0, y0). It must fit.
Mask place(const Mask& mask, int64_t x0, int64_t y0, int64_t width, int64_t height);

}  // namespace tenon::imaging
