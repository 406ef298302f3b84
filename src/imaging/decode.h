#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "imaging/image.h"

namespace tenon::imaging {

struct DecodedImage {
  Image image;
  std::string format;              // "jpeg", "png"
  int orientation = 1;             // EXIF; already applied
  std::vector<std::string> notes;  // what was dropped or converted, for people
};

// A JPEG or PNG, told apart by content. Grey and palettes become RGB; 16-bit samples keep their
// high byte; CMYK is taken as Adobe writes it (inverted) and converted without a profile; alpha is
// dropped; the EXIF orientation is applied. Throws ErrorCode::BadInput where the file is neither,
// damaged, truncated or over a limit; a picture is whole or refused.
DecodedImage decode_image(std::span<const std::byte> file);
// The same from a file; errors name it.
DecodedImage read_image(const std::string& path);

}  // namespace tenon::imaging
