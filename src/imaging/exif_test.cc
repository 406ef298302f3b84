#include <gtest/gtest.h>

#include <string_view>

#include "imaging/codecs.h"

namespace tenon::imaging {
namespace {

int orientation(std::string_view text) {
  return exif_orientation(std::as_bytes(std::span(text.data(), text.size())));
}

constexpr std::string_view kBig("MM\0*\0\0\0\10\0\1\1\22\0\3\0\0\0\1\0\6\0\0", 22);
constexpr std::string_view kLittle("II*\0\10\0\0\0\1\0\22\1\3\0\1\0\0\0\3\0\0\0", 22);

TEST(Exif, ReadsBothByteOrders) {
  EXPECT_EQ(orientation(kBig), 6);
  EXPECT_EQ(orientation(kLittle), 3);
}

TEST(Exif, DamageReadsAsUpright) {
  for (size_t length = 0; length < kBig.size(); ++length) {
    EXPECT_EQ(orientation(kBig.substr(0, length)), 1) << length;
  }
  std::string far(kBig);
  far[4] = '\x7f';  // the directory lies two gigabytes away
  EXPECT_EQ(orientation(far), 1);
  std::string wrong(kBig);
  wrong[19] = 9;
  EXPECT_EQ(orientation(wrong), 1);
  EXPECT_EQ(orientation("no exif at all"), 1);
}

}  // namespace
}  // namespace tenon::imaging
