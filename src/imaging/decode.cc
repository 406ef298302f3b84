#include "imaging/decode.h"

#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "imaging/codecs.h"

namespace tenon::imaging {

void check_size(int64_t width, int64_t height) {
  bool sides =
      width >= 1 && height >= 1 && width <= kLimits.image_side && height <= kLimits.image_side;
  if (sides && width * height <= kLimits.image_pixels) return;
  throw Error(ErrorCode::BadInput, "picture is too large or empty")
      .got(std::to_string(width) + " x " + std::to_string(height) + " pixels")
      .accepted("sides of 1 to " + std::to_string(kLimits.image_side) + ", at most " +
                std::to_string(kLimits.image_pixels) + " pixels in all")
      .fix("scale the picture down first");
}

DecodedImage decode_image(std::span<const std::byte> file) {
  if (static_cast<int64_t>(file.size()) > kLimits.image_file_bytes) {
    throw Error(ErrorCode::BadInput, "file is too large")
        .got(std::to_string(file.size()) + " bytes")
        .accepted("at most " + std::to_string(kLimits.image_file_bytes));
  }
  DecodedImage decoded;
  if (is_jpeg(file)) {
    decoded = decode_jpeg(file);
  } else if (is_png(file)) {
    decoded = decode_png(file);
  } else {
    throw Error(ErrorCode::BadInput, "not a picture in a known format").accepted("JPEG, PNG");
  }
  if (decoded.orientation != 1) decoded.image = orient(decoded.image, decoded.orientation);
  return decoded;
}

DecodedImage read_image(const std::string& path) {
  auto file = MappedFile::open(path);
  try {
    DecodedImage decoded = decode_image(file->bytes());
    file->verify_unchanged();
    return decoded;
  } catch (Error& error) {
    error.within(path);
    throw;
  }
}

Image crop(const Image& image, int64_t x0, int64_t y0, int64_t x1, int64_t y1) {
  TENON_CHECK(0 <= x0 && x0 < x1 && x1 <= image.width);
  TENON_CHECK(0 <= y0 && y0 < y1 && y1 <= image.height);
  Image part = Image::make(x1 - x0, y1 - y0);
  for (int64_t y = y0; y < y1; ++y)
    std::copy(image.row(y) + 3 * x0, image.row(y) + 3 * x1, part.row(y - y0));
  return part;
}

Image orient(const Image& image, int orientation) {
  TENON_CHECK(orientation >= 1 && orientation <= 8);
  bool swaps = orientation >= 5;
  Image turned =
      swaps ? Image::make(image.height, image.width) : Image::make(image.width, image.height);
  // Where the stored rows and columns begin, as EXIF tells: 2, 3, 6, 7 from the right, ...
  bool from_right = orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
  bool from_below = orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
  for (int64_t y = 0; y < turned.height; ++y) {
    for (int64_t x = 0; x < turned.width; ++x) {
      int64_t u = from_right ? turned.width - 1 - x : x;
      int64_t v = from_below ? turned.height - 1 - y : y;
      const uint8_t* source = swaps ? image.row(u) + 3 * v : image.row(v) + 3 * u;
      std::copy(source, source + 3, turned.row(y) + 3 * x);
    }
  }
  return turned;
}

}  // namespace tenon::imaging
