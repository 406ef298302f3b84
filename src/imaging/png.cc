// PNG through libpng. Its errors leave through longjmp, so the frame that sets the jump holds
// nothing with a destructor.
#include <png.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "base/error.h"
#include "base/limits.h"
#include "imaging/codecs.h"

namespace tenon::imaging {
namespace {

struct Source {
  std::span<const std::byte> bytes;
  size_t at = 0;
  char message[200] = "";
};

void read_bytes(png_structp png, png_bytep out, size_t count) {
  auto* source = static_cast<Source*>(png_get_io_ptr(png));
  if (count > source->bytes.size() - source->at) png_error(png, "the file ends too early");
  std::memcpy(out, source->bytes.data() + source->at, count);
  source->at += count;
}

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  auto* source = static_cast<Source*>(png_get_error_ptr(png));
  std::snprintf(source->message, sizeof source->message, "%s", message);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

struct Reader {
  explicit Reader(Source& source) {
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &source, on_error, on_warning);
    info = png ? png_create_info_struct(png) : nullptr;
    if (!info) {
      png_destroy_read_struct(&png, nullptr, nullptr);
      throw Error(ErrorCode::OutOfMemory, "no memory to read a PNG");
    }
    png_set_read_fn(png, &source, read_bytes);
  }
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  png_structp png = nullptr;
  png_infop info = nullptr;
};

// Returns whether `work` came to its end. No object with a destructor may live in `work`.
template <class Work>
bool guarded(png_structp png, Work work) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  work();
  return true;
}

[[noreturn]] void refuse(const Source& source) {
  throw Error(ErrorCode::BadInput, "damaged or truncated PNG").got(source.message);
}

void read_header(Reader& reader, const Source& source) {
  bool read = guarded(reader.png, [&] {
    // Sizes are ours to refuse, with a message that says what is accepted.
    png_set_user_limits(reader.png, 0x7FFFFFFF, 0x7FFFFFFF);
    png_set_chunk_malloc_max(reader.png, static_cast<png_alloc_size_t>(kLimits.png_chunk_bytes));
    png_read_info(reader.png, reader.info);
  });
  if (!read) refuse(source);
}

// Everything becomes 8-bit RGB. Returns the passes of an interlaced file, 1 for others.
int set_transforms(png_structp png, int colour) {
  png_set_strip_16(png);
  png_set_expand(png);
  png_set_strip_alpha(png);
  if (!(colour & PNG_COLOR_MASK_COLOR)) png_set_gray_to_rgb(png);
  return png_set_interlace_handling(png);
}

int orientation_of(const Reader& reader) {
  png_uint_32 bytes = 0;
  png_bytep exif = nullptr;
  if (png_get_eXIf_1(reader.png, reader.info, &bytes, &exif) == 0) return 1;
  return exif_orientation(std::as_bytes(std::span(exif, bytes)));
}

}  // namespace

bool is_png(std::span<const std::byte> file) {
  constexpr size_t kBytes = 8;
  return file.size() >= kBytes &&
         png_sig_cmp(reinterpret_cast<png_const_bytep>(file.data()), 0, kBytes) == 0;
}

DecodedImage decode_png(std::span<const std::byte> file) {
  Source source{file};
  Reader reader(source);
  read_header(reader, source);
  png_structp png = reader.png;
  check_size(png_get_image_width(png, reader.info), png_get_image_height(png, reader.info));
  int colour = png_get_color_type(png, reader.info), bits = png_get_bit_depth(png, reader.info);

  DecodedImage decoded;
  decoded.format = "png";
  if (bits == 16) decoded.notes.emplace_back("16-bit samples cut to their high byte");
  if (colour & PNG_COLOR_MASK_ALPHA || png_get_valid(png, reader.info, PNG_INFO_tRNS))
    decoded.notes.emplace_back("alpha dropped");
  decoded.image =
      Image::make(png_get_image_width(png, reader.info), png_get_image_height(png, reader.info));
  Image& image = decoded.image;
  bool read = guarded(png, [&] {
    int passes = set_transforms(png, colour);
    png_read_update_info(png, reader.info);
    if (png_get_rowbytes(png, reader.info) != static_cast<size_t>(image.width) * 3)
      png_error(png, "rows have an unexpected size");
    for (int pass = 0; pass < passes; ++pass) {
      for (int64_t y = 0; y < image.height; ++y) png_read_row(png, image.row(y), nullptr);
    }
    png_read_end(png, reader.info);
  });
  if (!read) refuse(source);
  decoded.orientation = orientation_of(reader);
  return decoded;
}

}  // namespace tenon::imaging
