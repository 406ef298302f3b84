#include "imaging/png_write.h"

#include <png.h>

#include <cstdio>
#include <cstring>
#include <exception>

#include "base/error.h"
#include "base/file.h"

// What libpng and libjpeg print to where nobody replaced their printers (cmake/dependencies.cmake).
extern "C" {
__attribute__((visibility("hidden"))) std::FILE* tenon_codec_stderr = stderr;
}

namespace tenon::imaging {
namespace {

struct Sink {
  std::vector<std::byte> bytes;
  std::exception_ptr failed;
};

// A C++ exception must not pass through libpng's frames.
void write_bytes(png_structp png, png_bytep data, size_t count) {
  auto* sink = static_cast<Sink*>(png_get_io_ptr(png));
  const auto* begin = reinterpret_cast<const std::byte*>(data);
  try {
    sink->bytes.insert(sink->bytes.end(), begin, begin + count);
  } catch (...) {
    sink->failed = std::current_exception();
  }
  if (sink->failed) png_error(png, "out of memory");
}

void flush(png_structp) {}
[[noreturn]] void on_error(png_structp png, png_const_charp) {
  png_longjmp(png, 1);
}
void on_warning(png_structp, png_const_charp) {}

struct Writer {
  explicit Writer(Sink& sink) {
    png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &sink, on_error, on_warning);
    info = png ? png_create_info_struct(png) : nullptr;
    if (!info) {
      png_destroy_write_struct(&png, nullptr);
      throw Error(ErrorCode::OutOfMemory, "no memory to write a PNG");
    }
    png_set_write_fn(png, &sink, write_bytes, flush);
  }
  ~Writer() { png_destroy_write_struct(&png, &info); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  png_structp png = nullptr;
  png_infop info = nullptr;
};

struct Layout {
  int64_t width, height;
  int bits, colour;
};

// `rows` holds the packed rows, `stride` bytes each.
std::vector<std::byte> encode(const Layout& layout, const uint8_t* rows, int64_t stride) {
  Sink sink;
  Writer writer(sink);
  if (setjmp(png_jmpbuf(writer.png)) != 0) {
    if (sink.failed) std::rethrow_exception(sink.failed);
    throw Error(ErrorCode::OutOfMemory, "no memory to write a PNG");
  }
  png_set_IHDR(writer.png, writer.info, static_cast<png_uint_32>(layout.width),
               static_cast<png_uint_32>(layout.height), layout.bits, layout.colour,
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(writer.png, writer.info);
  for (int64_t y = 0; y < layout.height; ++y) png_write_row(writer.png, rows + y * stride);
  png_write_end(writer.png, writer.info);
  return std::move(sink.bytes);
}

void write_file(const std::string& path, const std::vector<std::byte>& bytes) {
  AtomicFile file(path);
  file.append(bytes);
  file.commit();
}

}  // namespace

std::vector<std::byte> encode_png(const Image& image) {
  return encode({image.width, image.height, 8, PNG_COLOR_TYPE_RGB}, image.pixels.data(),
                image.width * 3);
}

std::vector<std::byte> encode_png(const Mask& mask) {
  int64_t stride = (mask.width + 7) / 8;
  std::vector<uint8_t> rows(static_cast<size_t>(stride * mask.height));
  for (int64_t y = 0; y < mask.height; ++y) {
    for (int64_t x = 0; x < mask.width; ++x) {
      if (mask.at(x, y)) rows[y * stride + x / 8] |= static_cast<uint8_t>(0x80 >> (x % 8));
    }
  }
  return encode({mask.width, mask.height, 1, PNG_COLOR_TYPE_GRAY}, rows.data(), stride);
}

void write_png(const std::string& path, const Image& image) {
  write_file(path, encode_png(image));
}

void write_png(const std::string& path, const Mask& mask) {
  write_file(path, encode_png(mask));
}

}  // namespace tenon::imaging
