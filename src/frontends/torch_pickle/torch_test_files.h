#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "frontends/torch_pickle/crc32.h"

// Zip archives and pickles byte by byte, right or wrong: for tests and fuzzers.
namespace tenon::frontends {

inline std::string number_bytes(uint64_t value, int count) {
  std::string bytes;
  for (int i = 0; i < count; ++i) bytes += i < 8 ? static_cast<char>(value >> (8 * i) & 255) : '\0';
  return bytes;
}
inline uint32_t crc_of(const std::string& data) {
  return crc32(std::as_bytes(std::span(data.data(), data.size())));
}

// A record of an archive. Fields that are set differ from what they should be.
struct ForgedRecord {
  std::string name, data;
  uint16_t flags = 0, method = 0;
  std::optional<std::string> local_name = {};
  std::optional<uint32_t> crc = {}, size = {}, local_size = {}, offset = {};
  std::string extra = {}, local_extra = {};  // of the directory entry; of the local header
};

struct ForgedEnd {
  std::optional<uint16_t> count = {}, comment = {};
  std::optional<uint32_t> begin = {}, size = {};
  bool zip64 = false;
  std::optional<uint64_t> count64 = {}, begin64 = {}, size64 = {}, end64 = {};
  std::string before_directory = {}, after = {};
};

inline std::string zip_bytes(const std::vector<ForgedRecord>& records, const ForgedEnd& end = {}) {
  std::string file, directory;
  for (const ForgedRecord& record : records) {
    uint32_t crc = record.crc.value_or(crc_of(record.data));
    uint32_t size = record.size.value_or(static_cast<uint32_t>(record.data.size()));
    uint32_t local_size = record.local_size.value_or(size);
    std::string local_name = record.local_name.value_or(record.name);
    uint32_t offset = record.offset.value_or(static_cast<uint32_t>(file.size()));
    auto common = [&](uint32_t bytes) {
      return number_bytes(record.flags, 2) + number_bytes(record.method, 2) + number_bytes(0, 4) +
             number_bytes(crc, 4) + number_bytes(bytes, 4) + number_bytes(bytes, 4);
    };
    file += "PK\x03\x04" + number_bytes(20, 2) + common(local_size) +
            number_bytes(local_name.size(), 2) + number_bytes(record.local_extra.size(), 2) +
            local_name + record.local_extra + record.data;
    directory += "PK\x01\x02" + number_bytes(20, 4) + common(size) +
                 number_bytes(record.name.size(), 2) + number_bytes(record.extra.size(), 2) +
                 number_bytes(0, 2 + 2 + 2 + 4) + number_bytes(offset, 4) + record.name +
                 record.extra;
  }
  file += end.before_directory;
  uint64_t begin = file.size(), size = directory.size(), count = records.size();
  file += directory;
  if (end.zip64) {
    uint64_t place = file.size();
    file += "PK\x06\x06" + number_bytes(44, 8) + number_bytes(0x2D, 2) + number_bytes(0x2D, 2) +
            number_bytes(0, 8) + number_bytes(end.count64.value_or(count), 8) +
            number_bytes(end.count64.value_or(count), 8) +
            number_bytes(end.size64.value_or(size), 8) +
            number_bytes(end.begin64.value_or(begin), 8);
    file += "PK\x06\x07" + number_bytes(0, 4) + number_bytes(end.end64.value_or(place), 8) +
            number_bytes(1, 4);
  }
  uint16_t plain_count = end.count.value_or(static_cast<uint16_t>(count));
  file += "PK\x05\x06" + number_bytes(0, 4) + number_bytes(plain_count, 2) +
          number_bytes(plain_count, 2) +
          number_bytes(end.size.value_or(static_cast<uint32_t>(size)), 4) +
          number_bytes(end.begin.value_or(static_cast<uint32_t>(begin)), 4) +
          number_bytes(end.comment.value_or(0), 2);
  return file + end.after;
}

// Opcodes of protocol 2, one after the other.
class PickleForge {
 public:
  PickleForge& raw(const std::string& bytes) {
    bytes_ += bytes;
    return *this;
  }
  PickleForge& text(const std::string& value) {
    return raw("X" + number_bytes(value.size(), 4) + value);
  }
  PickleForge& number(int64_t value) {
    if (value >= INT32_MIN && value <= INT32_MAX)
      return raw("J" + number_bytes(static_cast<uint64_t>(value), 4));
    return raw("\x8a\x08" + number_bytes(static_cast<uint64_t>(value), 8));
  }
  PickleForge& numbers(const std::vector<int64_t>& values) {  // a tuple
    raw("(");
    for (int64_t value : values) number(value);
    return raw("t");
  }
  PickleForge& global(const std::string& module, const std::string& name) {
    return raw("c" + module + "\n" + name + "\n");
  }
  PickleForge& storage(const std::string& type, const std::string& key, int64_t count) {
    return raw("(")
        .text("storage")
        .global("torch", type)
        .text(key)
        .text("cpu")
        .number(count)
        .raw("tQ");
  }
  PickleForge& hooks() { return global("collections", "OrderedDict").raw(")R"); }
  PickleForge& tensor(const std::string& type, const std::string& key, int64_t count,
                      int64_t offset, const std::vector<int64_t>& size,
                      const std::vector<int64_t>& stride) {
    global("torch._utils", "_rebuild_tensor_v2").raw("(").storage(type, key, count);
    return number(offset).numbers(size).numbers(stride).raw("\x89").hooks().raw("tR");
  }
  std::string str() const { return bytes_; }

 private:
  std::string bytes_;
};

// A dict {name: f32 tensor [count]} over storage "0".
inline std::string tensor_pickle(const std::string& name, int64_t count) {
  PickleForge forge;
  forge.raw("\x80\x02}").text(name).tensor("FloatStorage", "0", count, 0, {count}, {1}).raw("s.");
  return forge.str();
}

inline std::vector<ForgedRecord> torch_records(
    const std::string& pickle, const std::vector<std::pair<std::string, std::string>>& storages) {
  std::vector<ForgedRecord> records = {{"archive/data.pkl", pickle}};
  for (const auto& [key, data] : storages) records.push_back({"archive/data/" + key, data});
  records.push_back({"archive/version", "3\n"});
  return records;
}
inline std::string torch_bytes(const std::string& pickle,
                               const std::vector<std::pair<std::string, std::string>>& storages) {
  return zip_bytes(torch_records(pickle, storages), {.zip64 = true});
}
// The good archive of tensor_pickle.
inline std::string small_torch_file(const std::string& name, int64_t count) {
  return torch_bytes(tensor_pickle(name, count),
                     {{"0", std::string(static_cast<size_t>(count) * 4, '\0')}});
}

}  // namespace tenon::frontends
