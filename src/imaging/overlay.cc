#include "imaging/overlay.h"

#include <cmath>

#include "base/error.h"

namespace tenon::imaging {

// Steps of the golden angle around the colour circle.
Colour overlay_colour(size_t index) {
  double hue = std::fmod(0.58 + 0.618033988749895 * static_cast<double>(index), 1.0);
  Colour colour;
  for (int c = 0; c < 3; ++c) {
    double place = std::fmod(hue + (3 - c) / 3.0, 1.0) * 6;
    double light = place < 1   ? 1
                   : place < 2 ? 2 - place
                   : place < 4 ? 0
                   : place < 5 ? place - 4
                               : 1;
    colour[c] = static_cast<uint8_t>(std::lround(30 + 225 * light));
  }
  return colour;
}

void draw_mask(Image& image, const Mask& mask, Colour colour) {
  TENON_CHECK(image.width == mask.width && image.height == mask.height);
  auto outside = [&](int64_t x, int64_t y) {
    return x < 0 || y < 0 || x >= mask.width || y >= mask.height || !mask.at(x, y);
  };
  for (int64_t y = 0; y < mask.height; ++y) {
    for (int64_t x = 0; x < mask.width; ++x) {
      if (!mask.at(x, y)) continue;
      bool border =
          outside(x - 1, y) || outside(x + 1, y) || outside(x, y - 1) || outside(x, y + 1);
      uint8_t* pixel = image.row(y) + 3 * x;
      for (int c = 0; c < 3; ++c)
        pixel[c] = border ? colour[c] : static_cast<uint8_t>((pixel[c] + colour[c] + 1) / 2);
    }
  }
}

}  // namespace tenon::imaging
