#include "fuzz_input.h"
#include "imaging/decode.h"
#include "imaging/png_write.h"
#include "imaging/rle.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tenon;
  fuzz::refuse_or_accept([&] {
    imaging::DecodedImage read = imaging::decode_image(fuzz::bytes_of(data, size));
    const imaging::Image& image = read.image;
    if (image.pixels.size() != static_cast<size_t>(image.width * image.height * 3)) std::abort();
    // Large ones would only show how long compressing takes.
    if (image.pixels.size() > 1 << 16) return;
    if (imaging::decode_image(imaging::encode_png(image)).image.pixels != image.pixels)
      std::abort();
  });
  fuzz::refuse_or_accept([&] {
    std::vector<uint32_t> counts = imaging::parse_counts(fuzz::text_of(data, size));
    if (imaging::parse_counts(imaging::compress_counts(counts)) != counts) std::abort();
  });
  return 0;
}
