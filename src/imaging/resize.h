#pragma once

#include "imaging/image.h"

namespace tenon::imaging {

// Bilinear with antialias, bit for bit as Pillow's Image.resize(..., BILINEAR): triangles as wide
// as the scale in 22-bit fixed point, columns first, rounded to 8 bits between the two passes.
// Source: python-pillow/Pillow src/libImaging/Resample.c.
Image resize_bilinear(const Image& image, int64_t width, int64_t height);

}  // namespace tenon::imaging
