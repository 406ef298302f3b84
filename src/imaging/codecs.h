#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "imaging/decode.h"

// The parts of decode_image. Orientation is read, not applied.
namespace tenon::imaging {

// Whether decoding a JPEG of so many scans would take too long: each walks the whole picture.
bool are_too_many_scans(int64_t scans, int64_t width, int64_t height);
bool is_jpeg(std::span<const std::byte> file);
bool is_png(std::span<const std::byte> file);
DecodedImage decode_jpeg(std::span<const std::byte> file);
DecodedImage decode_png(std::span<const std::byte> file);

// The orientation in an EXIF block (from its TIFF header on), or 1 where there is none that makes
// sense: a damaged tag must not cost the picture.
int exif_orientation(std::span<const std::byte> tiff);

// Throws ErrorCode::BadInput for sides or areas over the limits, before anything is allocated.
void check_size(int64_t width, int64_t height);

}  // namespace tenon::imaging
