#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/text.h"
#include "text/tokenizer.h"

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

using Ids = std::vector<int32_t>;
constexpr size_t kBlock = 32;  // strings a digest

// FNV-1a, of each item's length and bytes.
class Digest {
 public:
  void add(std::string_view item) {
    auto size = static_cast<uint32_t>(item.size());
    mix({reinterpret_cast<const char*>(&size), sizeof size});
    mix(item);
  }
  uint64_t value() const { return value_; }

 private:
  void mix(std::string_view bytes) {
    for (char byte : bytes) {
      value_ = (value_ ^ static_cast<uint8_t>(byte)) * 0x100000001B3u;
    }
  }
  uint64_t value_ = 0xCBF29CE484222325u;
};

inline std::vector<uint64_t> read_digests(const std::string& path) {
  auto file = MappedFile::open(path);
  std::vector<uint64_t> digests(file->bytes().size() / sizeof(uint64_t));
  std::memcpy(digests.data(), file->bytes().data(), digests.size() * sizeof(uint64_t));
  return digests;
}

inline std::string spelled(const Ids& ids) {
  std::string out;
  for (int32_t id : ids) out += (out.empty() ? "" : " ") + std::to_string(id);
  return out;
}

inline std::string_view bytes_of(const Ids& ids) {
  return {reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(int32_t)};
}

// The blocks of strings whose results differ; `result` gives the bytes of one string's.
template <class Result>
std::string wrong_blocks(const std::vector<uint64_t>& expected, size_t strings, Result result) {
  if (expected.size() != (strings + kBlock - 1) / kBlock) return "another number of blocks";
  std::string wrong;
  for (size_t block = 0; block < expected.size(); ++block) {
    Digest digest;
    size_t end = std::min((block + 1) * kBlock, strings);
    for (size_t i = block * kBlock; i < end; ++i) digest.add(result(i));
    if (digest.value() == expected[block]) continue;
    wrong += std::to_string(block * kBlock) + "-" + std::to_string(end - 1) + " ";
  }
  return wrong;
}

// Where `encode` does not give the golden ids: those of the first strings are stored, of all their
// digests. Empty where it does.
template <class Encode>
std::string wrong_ids(const std::string& folder, Encode encode) {
  GoldenTable strings(kGoldenFolder + "strings.bin"), shown(folder + "ids.bin");
  if (strings.size() < 10'000 || shown.size() < 384) return "fewer strings than there were";
  Ids ids;
  for (size_t i = 0; i < shown.size(); ++i) {
    if (ids = encode(strings.text(i)); ids == shown.ids(i)) continue;
    return "string " + std::to_string(i) + ": " + escape_for_message(strings.text(i)) + " gives " +
           spelled(ids) + ", not " + spelled(shown.ids(i));
  }
  return wrong_blocks(read_digests(folder + "ids.digests.bin"), strings.size(), [&](size_t i) {
    ids = encode(strings.text(i));
    return bytes_of(ids);
  });
}

}  // namespace tenon::text
