#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tenon::imaging {

// A picture in 8-bit RGB. Pixels [height, width, 3], rows from top to bottom.
struct Image {
  int64_t width = 0, height = 0;
  std::vector<uint8_t> pixels;

  // Black. Both sides are at least 1.
  static Image make(int64_t width, int64_t height) {
    return {width, height, std::vector<uint8_t>(static_cast<size_t>(width * height * 3))};
  }
  uint8_t* row(int64_t y) { return pixels.data() + y * width * 3; }
  const uint8_t* row(int64_t y) const { return pixels.data() + y * width * 3; }
};

// The part of a picture from (x0, y0) up to, not including, (x1, y1), which lies inside.
Image crop(const Image& image, int64_t x0, int64_t y0, int64_t x1, int64_t y1);

// Turns and mirrors a picture as an EXIF orientation of 1 to 8 asks for: 6 means "turn clockwise".
Image orient(const Image& image, int orientation);

}  // namespace tenon::imaging
