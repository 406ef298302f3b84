#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace tenon::text {

// tests/golden/tokenizers.tar.xz, unpacked in the build folder.
inline const std::string kGoldenFolder = TENON_GOLDEN_TOKENIZERS;

// u32 count, u32 offsets [count + 1], items: the form of all tables here. Throws where it is
// missing.
class GoldenTable {
 public:
  explicit GoldenTable(const std::string& path) : file_(MappedFile::open(path)) {
    count_ = u32(0);
    data_ = 4 + 4 * (size_t{count_} + 1);
  }
  size_t size() const { return count_; }
  std::string_view text(size_t i) const {
    size_t begin = offset(i), end = offset(i + 1);
    return {reinterpret_cast<const char*>(file_->bytes().data()) + data_ + begin, end - begin};
  }
  std::vector<int32_t> ids(size_t i) const {
    std::vector<int32_t> ids;
    for (size_t at = offset(i); at < offset(i + 1); ++at) {
      uint16_t id;
      std::memcpy(&id, file_->bytes().subspan(data_ + 2 * at, 2).data(), 2);
      ids.push_back(id);
    }
    return ids;
  }

 private:
  uint32_t u32(size_t index) const {
    uint32_t value;
    std::memcpy(&value, file_->bytes().subspan(4 * index, 4).data(), 4);
    return value;
  }
  size_t offset(size_t i) const { return u32(1 + i); }
  std::shared_ptr<const MappedFile> file_;
  uint32_t count_ = 0;
  size_t data_ = 0;
};

}  // namespace tenon::text
