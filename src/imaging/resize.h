#pragma once

#include "imaging/image.h"

namespace tenon::imaging {

// Bilinear with antialias, bit for bit as Pillow's Image.resize(..., BILINEAR): triangles as wide
// as the scale in 22-bit fixed point, columns first, rounded to 8 bits between the two passes.
// Source: python-pillow/Pillow src/libImaging/Resample.c.
Image resize_bilinear(const Image& image, int64_t width, int64_t height);

// What a row or column of the result is made of: pixels from `first` on, weighted.
struct ResizeTaps {
  int64_t first = 0;
  std::vector<int32_t> weights;  // sum: 1 << 22, but for rounding
};
// Of each of `out` rows or columns made of `in`.
std::vector<ResizeTaps> make_resize_taps(int64_t in, int64_t out);

}  // namespace tenon::imaging
