#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace tenon {

// Reads little-endian numbers and runs of bytes from memory that came from outside. Every read is
// compared with what is left; an error names the byte, have and need. Borrows the memory.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  int64_t at() const { return at_; }
  int64_t left() const { return static_cast<int64_t>(bytes_.size()) - at_; }
  // Throws ErrorCode::BadInput where the place is outside the memory.
  void seek(int64_t place) {
    if (place < 0 || place > static_cast<int64_t>(bytes_.size())) {
      throw Error(ErrorCode::BadInput, "place is outside the file")
          .at("byte " + std::to_string(place))
          .accepted("0 to " + std::to_string(bytes_.size()));
    }
    at_ = place;
  }

  std::span<const std::byte> bytes(uint64_t count) {
    if (count > static_cast<uint64_t>(left())) {
      throw Error(ErrorCode::BadInput, "truncated, or a length is wrong")
          .at("byte " + std::to_string(at_))
          .got("have " + std::to_string(left()) + " bytes, need " + std::to_string(count));
    }
    std::span<const std::byte> read = bytes_.subspan(static_cast<size_t>(at_), count);
    at_ += static_cast<int64_t>(count);
    return read;
  }
  std::string_view text(uint64_t count) {
    std::span<const std::byte> read = bytes(count);
    return {reinterpret_cast<const char*>(read.data()), read.size()};
  }
  // Up to the next newline, which is read, too.
  std::string_view line() {
    std::string_view rest(reinterpret_cast<const char*>(bytes_.data()) + at_,
                          static_cast<size_t>(left()));
    size_t end = rest.find('\n');
    if (end == rest.npos) {
      throw Error(ErrorCode::BadInput, "truncated: a line has no end")
          .at("byte " + std::to_string(at_));
    }
    at_ += static_cast<int64_t>(end) + 1;
    return rest.substr(0, end);
  }

  uint8_t u8() { return static_cast<uint8_t>(little_endian(1)); }
  uint16_t u16() { return static_cast<uint16_t>(little_endian(2)); }
  uint32_t u32() { return static_cast<uint32_t>(little_endian(4)); }
  uint64_t u64() { return little_endian(8); }

 private:
  uint64_t little_endian(int count) {
    std::span<const std::byte> read = bytes(static_cast<uint64_t>(count));
    uint64_t value = 0;
    for (int i = count - 1; i >= 0; --i) value = value << 8 | static_cast<uint64_t>(read[i]);
    return value;
  }

  std::span<const std::byte> bytes_;
  int64_t at_ = 0;
};

}  // namespace tenon
