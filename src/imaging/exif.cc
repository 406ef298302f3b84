// The one EXIF tag that changes a picture. Source: TIFF 6.0, section 2; EXIF 2.3, table 4.
#include "imaging/codecs.h"

namespace tenon::imaging {
namespace {

constexpr uint32_t kOrientationTag = 0x0112, kShort = 3, kEntryBytes = 12;

class TiffReader {
 public:
  TiffReader(std::span<const std::byte> bytes, bool little) : bytes_(bytes), little_(little) {}

  // Zero outside the block: no tag reads as zero.
  uint32_t number(uint64_t at, uint64_t size) const {
    if (at > bytes_.size() || size > bytes_.size() - at) return 0;
    uint32_t value = 0;
    for (uint64_t i = 0; i < size; ++i) {
      uint64_t place = little_ ? at + size - 1 - i : at + i;
      value = value << 8 | std::to_integer<uint32_t>(bytes_[place]);
    }
    return value;
  }

 private:
  std::span<const std::byte> bytes_;
  bool little_;
};

}  // namespace

int exif_orientation(std::span<const std::byte> tiff) {
  if (tiff.size() < 8) return 1;
  bool little = tiff[0] == std::byte{'I'} && tiff[1] == std::byte{'I'};
  bool big = tiff[0] == std::byte{'M'} && tiff[1] == std::byte{'M'};
  if (!little && !big) return 1;
  TiffReader reader(tiff, little);
  if (reader.number(2, 2) != 42) return 1;
  uint64_t directory = reader.number(4, 4);
  uint32_t entries = reader.number(directory, 2);
  for (uint64_t i = 0; i < entries; ++i) {
    uint64_t entry = directory + 2 + i * kEntryBytes;
    if (entry + kEntryBytes > tiff.size()) break;
    bool found =
        reader.number(entry, 2) == kOrientationTag && reader.number(entry + 2, 2) == kShort;
    if (!found) continue;
    uint32_t value = reader.number(entry + 8, 2);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

}  // namespace tenon::imaging
