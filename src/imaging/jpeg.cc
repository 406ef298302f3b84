// JPEG through libjpeg-turbo. Its errors leave through longjmp, so the frame that sets the jump
// holds nothing with a destructor.
#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>

#include "base/error.h"
#include "base/limits.h"
#include "imaging/codecs.h"

#include <jerror.h>
#include <jpeglib.h>  // needs <cstdio> before it

namespace tenon::imaging {
namespace {

struct Reader {
  jpeg_decompress_struct jpeg;
  jpeg_error_mgr errors;
  jpeg_progress_mgr progress;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void leave(j_common_ptr jpeg) {
  auto* reader = static_cast<Reader*>(jpeg->client_data);
  jpeg->err->format_message(jpeg, reader->message);
  std::longjmp(reader->jump, 1);
}

// Half a picture is not the picture: of the warnings only those that leave every pixel right pass.
void on_message(j_common_ptr jpeg, int level) {
  if (level >= 0) return;
  int code = jpeg->err->msg_code;
  bool harmless = code == JWRN_EXTRANEOUS_DATA || code == JWRN_ADOBE_XFORM ||
                  code == JWRN_JFIF_MAJOR || code == JWRN_TOO_MUCH_DATA;
  if (!harmless) leave(jpeg);
}

void on_progress(j_common_ptr common) {
  auto* jpeg = reinterpret_cast<j_decompress_ptr>(common);
  if (!are_too_many_scans(jpeg->input_scan_number, jpeg->image_width, jpeg->image_height)) return;
  auto* reader = static_cast<Reader*>(common->client_data);
  std::snprintf(reader->message, sizeof reader->message, "%d scans of %d x %d pixels and more",
                jpeg->input_scan_number, static_cast<int>(jpeg->image_width),
                static_cast<int>(jpeg->image_height));
  std::longjmp(reader->jump, 1);
}

// Returns whether `work` came to its end. No object with a destructor may live in `work`.
template <class Work>
bool guarded(Reader& reader, Work work) {
  if (setjmp(reader.jump) != 0) return false;
  work();
  return true;
}

// Frees what libjpeg holds, however decoding ends.
struct Closed {
  Reader& reader;
  ~Closed() { jpeg_destroy_decompress(&reader.jpeg); }
};

[[noreturn]] void refuse(const Reader& reader) {
  throw Error(ErrorCode::BadInput, "damaged or truncated JPEG").got(reader.message);
}

int orientation_of(const jpeg_decompress_struct& jpeg) {
  constexpr char kMark[] = "Exif\0";  // and a second zero, the literal's own
  for (const jpeg_marker_struct* m = jpeg.marker_list; m; m = m->next) {
    bool exif = m->marker == JPEG_APP0 + 1 && m->data_length > 6 && !std::memcmp(m->data, kMark, 6);
    if (!exif) continue;
    return exif_orientation(std::as_bytes(std::span(m->data + 6, m->data_length - 6)));
  }
  return 1;
}

// Inks as Adobe stores them, inverted: 255 is no ink. row [width, 4] -> rgb [width, 3].
void convert_inks(const uint8_t* row, int64_t width, uint8_t* rgb) {
  for (int64_t x = 0; x < width; ++x) {
    int light = row[4 * x + 3];
    for (int c = 0; c < 3; ++c) {
      // light * (1 - ink), divided by 255 with rounding.
      int product = (255 - row[4 * x + c]) * light + 128;
      rgb[3 * x + c] = static_cast<uint8_t>(std::max(0, light - ((product + (product >> 8)) >> 8)));
    }
  }
}

void start(Reader& reader, std::span<const std::byte> file) {
  reader.jpeg.err = jpeg_std_error(&reader.errors);
  reader.errors.error_exit = leave;
  reader.errors.emit_message = on_message;
  reader.jpeg.client_data = &reader;
  bool read = guarded(reader, [&] {
    jpeg_create_decompress(&reader.jpeg);
    reader.jpeg.client_data = &reader;
    reader.progress.progress_monitor = on_progress;
    reader.jpeg.progress = &reader.progress;
    jpeg_mem_src(&reader.jpeg, reinterpret_cast<const unsigned char*>(file.data()), file.size());
    jpeg_save_markers(&reader.jpeg, JPEG_APP0 + 1, 0xFFFF);
    jpeg_read_header(&reader.jpeg, TRUE);
  });
  if (!read) refuse(reader);
  // It has no end of data: 200 bytes can be 100 megapixels and a minute of work. No browser reads
  // it either.
  if (reader.jpeg.arith_code) {
    throw Error(ErrorCode::Unsupported, "JPEG with arithmetic coding")
        .accepted("JPEG with Huffman coding")
        .fix("convert it: djpeg FILE | cjpeg > OTHER.jpg");
  }
}

}  // namespace

bool are_too_many_scans(int64_t scans, int64_t width, int64_t height) {
  return scans > kLimits.jpeg_scans ||
         scans > 1 + kLimits.jpeg_scanned_pixels / std::max<int64_t>(1, width * height);
}

bool is_jpeg(std::span<const std::byte> file) {
  return file.size() >= 3 && file[0] == std::byte{0xFF} && file[1] == std::byte{0xD8} &&
         file[2] == std::byte{0xFF};
}

DecodedImage decode_jpeg(std::span<const std::byte> file) {
  Reader reader{};
  Closed closed{reader};
  start(reader, file);
  jpeg_decompress_struct& jpeg = reader.jpeg;
  check_size(jpeg.image_width, jpeg.image_height);
  bool inks = jpeg.num_components == 4;
  jpeg.out_color_space = inks ? JCS_CMYK : JCS_RGB;

  DecodedImage decoded;
  decoded.format = "jpeg";
  decoded.orientation = orientation_of(jpeg);
  if (inks) decoded.notes.emplace_back("CMYK converted to RGB without its colour profile");
  decoded.image = Image::make(jpeg.image_width, jpeg.image_height);
  std::vector<uint8_t> line(inks ? static_cast<size_t>(jpeg.image_width) * 4 : 0);
  Image& image = decoded.image;
  bool read = guarded(reader, [&] {
    jpeg_start_decompress(&jpeg);
    while (jpeg.output_scanline < jpeg.output_height) {
      uint8_t* rgb = image.row(jpeg.output_scanline);
      uint8_t* row = inks ? line.data() : rgb;
      if (jpeg_read_scanlines(&jpeg, &row, 1) == 1 && inks) convert_inks(row, image.width, rgb);
    }
    jpeg_finish_decompress(&jpeg);
  });
  if (!read) refuse(reader);
  return decoded;
}

}  // namespace tenon::imaging
