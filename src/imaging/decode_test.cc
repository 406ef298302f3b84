#include "imaging/decode.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "base/file.h"
#include "imaging/codecs.h"
#include "imaging/png_write.h"

namespace tenon::imaging {
namespace {

const std::string kFolder = TENON_GOLDEN_IMAGING;

std::vector<std::byte> bytes_of(const std::string& name) {
  auto file = MappedFile::open(kFolder + name);
  return {file->bytes().begin(), file->bytes().end()};
}

std::string refusal(std::span<const std::byte> file) {
  try {
    decode_image(file);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::BadInput);
    return error.what();
  }
  return "accepted";
}

class GoldenPictures : public ::testing::TestWithParam<const char*> {};

// libjpeg is the same library for both, so every byte must agree.
TEST_P(GoldenPictures, DecodeAsPillowDoes) {
  std::string name = GetParam();
  DecodedImage got = read_image(kFolder + name);
  DecodedImage wanted = read_image(kFolder + name + ".expected.png");
  EXPECT_EQ(got.image.width, wanted.image.width);
  EXPECT_EQ(got.image.height, wanted.image.height);
  EXPECT_EQ(got.image.pixels, wanted.image.pixels);
}
INSTANTIATE_TEST_SUITE_P(Files, GoldenPictures,
                         ::testing::Values("baseline.jpg", "progressive.jpg", "grey.jpg",
                                           "cmyk.jpg", "turned_2.jpg", "turned_3.jpg",
                                           "turned_4.jpg", "turned_5.jpg", "turned_6.jpg",
                                           "turned_7.jpg", "turned_8.jpg", "palette.png",
                                           "grey.png", "bits.png", "alpha.png", "one.png",
                                           "deep.png"));

TEST(Decode, SaysWhatWasDone) {
  EXPECT_EQ(read_image(kFolder + "turned_6.jpg").orientation, 6);
  EXPECT_THAT(read_image(kFolder + "cmyk.jpg").notes,
              testing::ElementsAre(testing::HasSubstr("CMYK")));
  EXPECT_THAT(read_image(kFolder + "alpha.png").notes, testing::ElementsAre("alpha dropped"));
  EXPECT_THAT(read_image(kFolder + "deep.png").notes,
              testing::ElementsAre(testing::HasSubstr("16-bit")));
  EXPECT_EQ(read_image(kFolder + "deep.png").format, "png");
}

// A cut anywhere is told, and nothing but a whole picture is given.
TEST(Decode, TruncatedFilesAreRefused) {
  for (const char* name :
       {"baseline.jpg", "progressive.jpg", "cmyk.jpg", "source.png", "palette.png"}) {
    std::vector<std::byte> file = bytes_of(name);
    for (size_t length = 8; length + 2 < file.size(); length += 1 + length / 16) {
      EXPECT_NE(refusal(std::span(file).first(length)), "accepted") << name << " " << length;
    }
  }
}

TEST(Decode, FlippedBytesAreRefusedOrReadAsAPictureOfTheSize) {
  for (const char* name : {"baseline.jpg", "source.png", "turned_6.jpg"}) {
    std::vector<std::byte> file = bytes_of(name);
    for (size_t at = 2; at < file.size(); at += 3) {
      std::vector<std::byte> hostile = file;
      hostile[at] ^= std::byte{0xFF};
      try {
        DecodedImage decoded = decode_image(hostile);
        EXPECT_EQ(decoded.image.pixels.size(),
                  static_cast<size_t>(decoded.image.width * decoded.image.height * 3));
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::BadInput) << name << " " << at;
      }
    }
  }
}

// 70 bytes that claim 100 gigabytes of pixels.
TEST(Decode, BombsAreRefusedByTheirHeader) {
  std::vector<std::byte> file = bytes_of("one.png");
  auto put = [&](size_t at, uint32_t value) {
    for (int i = 0; i < 4; ++i) file[at + i] = static_cast<std::byte>(value >> (24 - 8 * i));
  };
  put(16, 60'000), put(20, 60'000);
  // The header's own checksum, so that the size is what is refused.
  uint32_t crc = ~0u;
  for (size_t i = 12; i < 29; ++i) {
    crc ^= std::to_integer<uint32_t>(file[i]);
    for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? 0xEDB88320u ^ (crc >> 1) : crc >> 1;
  }
  put(29, ~crc);
  EXPECT_THAT(refusal(file),
              testing::AllOf(testing::HasSubstr("60000 x 60000"), testing::HasSubstr("too large")));
  EXPECT_THROW(check_size(0, 5), Error);
  EXPECT_NO_THROW(check_size(7744, 5164));  // 40 megapixels
}

// Of a file in arithmetic coding nothing says where its data ends.
TEST(Decode, ArithmeticCodingIsRefused) {
  for (auto [name, huffman, arithmetic] :
       {std::tuple{"baseline.jpg", 0xC0, 0xC9}, std::tuple{"progressive.jpg", 0xC2, 0xCA}}) {
    std::vector<std::byte> file = bytes_of(name);
    const std::byte mark[] = {std::byte{0xFF}, static_cast<std::byte>(huffman), std::byte{0}};
    auto found = std::search(file.begin(), file.end(), std::begin(mark), std::end(mark));
    ASSERT_NE(found, file.end());
    found[1] = static_cast<std::byte>(arithmetic);
    try {
      decode_image(file);
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::Unsupported);
      EXPECT_THAT(error.what(), testing::HasSubstr("arithmetic coding"));
    }
  }
}

TEST(Decode, ScansAreCounted) {
  EXPECT_FALSE(are_too_many_scans(10, 10'000, 10'000));  // what encoders write
  EXPECT_FALSE(are_too_many_scans(500, 1000, 1000));
  EXPECT_TRUE(are_too_many_scans(501, 1, 1));
  EXPECT_TRUE(are_too_many_scans(22, 10'000, 10'000));
  EXPECT_FALSE(are_too_many_scans(1, 0, 0));
}

TEST(Decode, OtherFilesAreRefused) {
  EXPECT_THAT(refusal({}), testing::HasSubstr("known format"));
  std::vector<std::byte> gif = {std::byte{'G'}, std::byte{'I'}, std::byte{'F'}, std::byte{'8'}};
  EXPECT_THAT(refusal(gif), testing::HasSubstr("JPEG, PNG"));
  EXPECT_THROW(read_image(kFolder + "missing.png"), Error);
}

TEST(Crop, TakesThePart) {
  Image whole = read_image(kFolder + "source.png").image;
  Image part = crop(whole, 3, 3, 4, 4);
  EXPECT_EQ(part.pixels, read_image(kFolder + "one.png").image.pixels);
  EXPECT_EQ(crop(whole, 0, 0, whole.width, whole.height).pixels, whole.pixels);
}

TEST(PngWrite, PicturesAndMasksComeBack) {
  Image image = read_image(kFolder + "source.png").image;
  EXPECT_EQ(decode_image(encode_png(image)).image.pixels, image.pixels);
  Mask mask = Mask::make(11, 3);
  for (int64_t i = 0; i < 33; i += 2) mask.pixels[i] = 1;
  Image read = decode_image(encode_png(mask)).image;
  ASSERT_EQ(read.width, 11);
  for (int64_t i = 0; i < 33; ++i) EXPECT_EQ(read.pixels[3 * i], mask.pixels[i] ? 255 : 0) << i;
}

}  // namespace
}  // namespace tenon::imaging
