#include "frontends/torch_pickle/zip_archive.h"

#include <algorithm>
#include <optional>
#include <string>

#include "base/byte_reader.h"
#include "base/checked.h"
#include "base/limits.h"
#include "base/text.h"
#include "frontends/torch_pickle/crc32.h"

namespace tenon::frontends {
namespace {

// PKWARE APPNOTE 6.3: signatures and sizes of the fixed parts.
constexpr uint32_t kLocal = 0x04034b50, kCentral = 0x02014b50, kEnd = 0x06054b50;
constexpr uint32_t kEnd64 = 0x06064b50, kLocator64 = 0x07064b50;
constexpr int64_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22, kEnd64Bytes = 56,
                  kLocatorBytes = 20;
constexpr uint32_t kIn64 = 0xFFFFFFFFu;  // "see the zip64 field"
constexpr uint16_t kDescriptor = 0x0008, kUtf8 = 0x0800;

struct Directory {
  int64_t begin = 0, size = 0, records = 0;
};

std::string byte_place(int64_t at) {
  return "byte " + std::to_string(at);
}

Error bad(std::string_view problem, int64_t at) {
  return Error(ErrorCode::BadInput, problem).at(byte_place(at));
}

int64_t narrow(uint64_t value, std::string_view what) {
  return checked_cast<int64_t>(value, what);
}

// The zip64 end record, where a locator stands before the plain one.
std::optional<Directory> read_end64(std::span<const std::byte> bytes, int64_t end, int64_t& limit) {
  if (end < kLocatorBytes + kEnd64Bytes) return std::nullopt;
  ByteReader reader(bytes);
  int64_t locator = end - kLocatorBytes;
  reader.seek(locator);
  if (reader.u32() != kLocator64) return std::nullopt;
  uint32_t disk = reader.u32();
  int64_t record = narrow(reader.u64(), "zip64 end record");
  if (disk != 0 || reader.u32() != 1) throw bad("archive is split over several files", locator);
  if (record != locator - kEnd64Bytes) {
    throw bad("zip64 end record is not where it must be", locator)
        .got(std::to_string(record))
        .accepted(std::to_string(locator - kEnd64Bytes));
  }
  reader.seek(record);
  if (reader.u32() != kEnd64 || reader.u64() != static_cast<uint64_t>(kEnd64Bytes - 12)) {
    throw bad("no zip64 end record", record);
  }
  reader.bytes(4);  // versions
  if (reader.u32() != 0 || reader.u32() != 0) throw bad("archive is split", record);
  uint64_t here = reader.u64(), all = reader.u64();
  if (here != all) throw bad("archive is split over several files", record);
  Directory directory;
  directory.records = narrow(all, "number of records");
  directory.size = narrow(reader.u64(), "size of the directory");
  directory.begin = narrow(reader.u64(), "offset of the directory");
  limit = record;
  return directory;
}

Directory find_directory(std::span<const std::byte> bytes) {
  int64_t end = static_cast<int64_t>(bytes.size()) - kEndBytes;
  ByteReader reader(bytes);
  auto no_end = [&] {
    return Error(ErrorCode::BadInput,
                 "no end of a zip directory: truncated, or bytes or a comment follow it")
        .at(byte_place(std::max<int64_t>(end, 0)))
        .fix("download the file again");
  };
  if (end < 0) throw no_end();
  reader.seek(end);
  if (reader.u32() != kEnd) throw no_end();
  uint16_t disk = reader.u16(), directory_disk = reader.u16(), here = reader.u16(),
           all = reader.u16();
  uint32_t size = reader.u32(), begin = reader.u32();
  if (reader.u16() != 0) throw no_end();
  int64_t limit = end;
  std::optional<Directory> wide = read_end64(bytes, end, limit);
  Directory plain{begin, size, all};
  Directory directory = wide.value_or(plain);
  // Readers differ in which of the two ends they believe, so they may not contradict each other.
  auto agrees = [&](int64_t narrow_value, int64_t value, int64_t escape) {
    return narrow_value == value || (wide && narrow_value == escape);
  };
  bool same = agrees(all, directory.records, 0xFFFF) && agrees(here, directory.records, 0xFFFF) &&
              agrees(size, directory.size, kIn64) && agrees(begin, directory.begin, kIn64) &&
              agrees(disk, 0, 0xFFFF) && agrees(directory_disk, 0, 0xFFFF);
  if (!same) throw bad("the two ends of the zip directory contradict each other", end);
  if (checked_add(directory.begin, directory.size, "zip directory") != limit) {
    throw bad("zip directory does not end where its end record begins", directory.begin)
        .got(std::to_string(directory.size) + " bytes from there")
        .accepted(std::to_string(limit - std::min(limit, directory.begin)));
  }
  if (directory.records > kLimits.zip_entries) {
    throw bad("too many records", end)
        .got(std::to_string(directory.records))
        .accepted("at most " + std::to_string(kLimits.zip_entries));
  }
  if (directory.records > directory.size / kCentralBytes) {
    throw bad("more records than the directory has room for", end)
        .got(std::to_string(directory.records));
  }
  return directory;
}

void check_name(std::string_view name, int64_t at) {
  bool good = !name.empty() && name.front() != '/' && name.find('\0') == name.npos &&
              name.find('\\') == name.npos &&
              static_cast<int64_t>(name.size()) <= kLimits.tensor_name_bytes && is_valid_utf8(name);
  for (size_t begin = 0; good && begin <= name.size();) {
    size_t end = std::min(name.find('/', begin), name.size());
    good = name.substr(begin, end - begin) != "..";
    begin = end + 1;
  }
  if (good) return;
  throw bad("record name is no plain relative path", at)
      .got(name)
      .accepted("1 to " + std::to_string(kLimits.tensor_name_bytes) + " bytes of UTF-8");
}

void check_flags(uint16_t flags, std::string_view name) {
  constexpr uint16_t kKnown = kDescriptor | kUtf8;
  if ((flags & ~kKnown) == 0) return;
  Error error(ErrorCode::BadInput, "record has flags that no PyTorch checkpoint has");
  if (flags & 0x2041) error = Error(ErrorCode::Unsupported, "record is encrypted");
  if (flags & 0x0020) error = Error(ErrorCode::Unsupported, "record is patched data");
  throw error.at("record " + std::string(name)).got("flags " + std::to_string(flags));
}

// Sizes and offset where the 32-bit fields say "see the zip64 field", in its order.
void read_extra(std::string_view extra, std::span<uint64_t* const> wanted, std::string_view name) {
  ByteReader reader(std::as_bytes(std::span(extra.data(), extra.size())));
  bool seen = false;
  try {
    while (reader.left() > 0) {
      uint16_t id = reader.u16();
      ByteReader field(reader.bytes(reader.u16()));
      if (id != 0x0001) continue;
      if (seen) throw Error(ErrorCode::BadInput, "two zip64 fields");
      seen = true;
      for (uint64_t* value : wanted) *value = field.u64();
    }
    if (!seen && !wanted.empty()) throw Error(ErrorCode::BadInput, "zip64 field is missing");
  } catch (Error& error) {
    error.within("record " + std::string(name) + ", extra field");
    throw;
  }
}

struct Header {  // what both headers of a record say
  uint16_t flags = 0, method = 0;
  uint32_t crc = 0;
  uint64_t packed = 0, size = 0;
  std::string_view name;
};

// The fields both headers have, in the same order, up to the uncompressed size.
Header read_common(ByteReader& reader) {
  Header header;
  header.flags = reader.u16();
  header.method = reader.u16();
  reader.bytes(4);  // time and date
  header.crc = reader.u32();
  header.packed = reader.u32();
  header.size = reader.u32();
  return header;
}

// Compares the local header with the central one; returns where the data begin.
int64_t check_local(std::span<const std::byte> bytes, const Header& central, int64_t at) {
  ByteReader reader(bytes);
  reader.seek(at);
  if (reader.u32() != kLocal) throw bad("no local header", at).at(central.name);
  reader.bytes(2);  // version
  Header local = read_common(reader);
  uint16_t name_bytes = reader.u16(), extra_bytes = reader.u16();
  local.name = reader.text(name_bytes);
  std::string_view extra = reader.text(extra_bytes);
  if (local.name != central.name) {
    throw bad("local header and directory give different names", at)
        .got(local.name)
        .accepted(central.name);
  }
  bool later = local.flags & kDescriptor;  // sizes and checksum follow the data
  std::vector<uint64_t*> wide;
  for (uint64_t* value : {&local.size, &local.packed}) {
    if (*value == kIn64) wide.push_back(value);
  }
  if (!later || !wide.empty()) read_extra(extra, wide, local.name);
  auto agrees = [&](uint64_t value, uint64_t wanted) {
    return value == wanted || (later && value == 0);
  };
  if (local.flags != central.flags || local.method != central.method ||
      !agrees(local.crc, central.crc) || !agrees(local.size, central.size) ||
      !agrees(local.packed, central.packed)) {
    throw bad("local header and directory contradict each other", at)
        .at("record " + std::string(central.name));
  }
  return reader.at();
}

ZipRecord read_record(std::span<const std::byte> bytes, ByteReader& reader, int64_t limit) {
  int64_t at = reader.at();
  if (reader.u32() != kCentral) throw bad("no directory entry", at);
  reader.bytes(4);  // versions
  Header header = read_common(reader);
  uint16_t name_bytes = reader.u16(), extra_bytes = reader.u16(), comment_bytes = reader.u16();
  uint16_t disk = reader.u16();
  reader.bytes(6);  // attributes
  uint64_t local = reader.u32();
  header.name = reader.text(name_bytes);
  std::string_view extra = reader.text(extra_bytes);
  check_name(header.name, at);
  if (comment_bytes != 0 || disk != 0) throw bad("record has a comment or another disk", at);
  std::vector<uint64_t*> wide;
  for (uint64_t* value : {&header.size, &header.packed, &local}) {
    if (*value == kIn64) wide.push_back(value);
  }
  read_extra(extra, wide, header.name);
  check_flags(header.flags, header.name);
  bool stored = header.method == 0;
  if (stored && header.packed != header.size) {
    throw bad("stored record has two sizes", at).at("record " + std::string(header.name));
  }
  ZipRecord record;
  record.name = header.name;
  record.crc = header.crc;
  record.header = narrow(local, "offset of a record");
  record.size = narrow(header.packed, "size of a record");
  record.stored = stored;
  if (record.header > limit - kLocalBytes) {
    throw bad("record begins behind the directory", at).at("record " + std::string(header.name));
  }
  record.begin = check_local(bytes, header, record.header);
  if (checked_add(record.begin, record.size, "record") > limit) {
    throw bad("record ends after the file's data: truncated, or its size is wrong", record.begin)
        .at("record " + std::string(header.name))
        .got("have " + std::to_string(limit - std::min(limit, record.begin)) + " bytes, need " +
             std::to_string(record.size));
  }
  return record;
}

void check_overlap(std::vector<ZipRecord>& records) {
  auto by_place = [](const ZipRecord& a, const ZipRecord& b) { return a.header < b.header; };
  std::sort(records.begin(), records.end(), by_place);
  for (size_t i = 1; i < records.size(); ++i) {
    if (records[i].header >= records[i - 1].begin + records[i - 1].size) continue;
    throw bad("records overlap", records[i].header)
        .at("record " + std::string(records[i].name))
        .got("inside record " + std::string(records[i - 1].name));
  }
  auto by_name = [](const ZipRecord& a, const ZipRecord& b) { return a.name < b.name; };
  std::sort(records.begin(), records.end(), by_name);
  for (size_t i = 1; i < records.size(); ++i) {
    if (records[i].name != records[i - 1].name) continue;
    throw bad("two records have one name", records[i].header).got(records[i].name);
  }
}

}  // namespace

ZipArchive::ZipArchive(std::span<const std::byte> bytes) : bytes_(bytes) {
  Directory directory = find_directory(bytes);
  ByteReader reader(bytes.first(static_cast<size_t>(directory.begin + directory.size)));
  reader.seek(directory.begin);
  records_.reserve(static_cast<size_t>(directory.records));
  for (int64_t i = 0; i < directory.records; ++i) {
    records_.push_back(read_record(bytes, reader, directory.begin));
  }
  if (reader.left() != 0) throw bad("bytes after the last directory entry", reader.at());
  check_overlap(records_);
}

const ZipRecord* ZipArchive::find(std::string_view name) const {
  auto at = std::lower_bound(
      records_.begin(), records_.end(), name,
      [](const ZipRecord& record, std::string_view key) { return record.name < key; });
  return at != records_.end() && at->name == name ? &*at : nullptr;
}

void ZipArchive::require_stored() const {
  for (const ZipRecord& record : records_) {
    if (record.stored) continue;
    Error error(ErrorCode::Unsupported, "record is compressed");
    throw error.at("record " + std::string(record.name))
        .accepted("stored records, as torch.save writes them")
        .fix("load it with PyTorch and write it with torch.save");
  }
}

std::span<const std::byte> ZipArchive::data(const ZipRecord& record) const {
  return bytes_.subspan(static_cast<size_t>(record.begin), static_cast<size_t>(record.size));
}

void ZipArchive::verify(const ZipRecord& record) const {
  if (crc32(data(record)) == record.crc) return;
  throw Error(ErrorCode::BadInput, "record is damaged: its checksum is wrong")
      .at("record " + std::string(record.name))
      .at(byte_place(record.begin))
      .fix("download the file again, or write it with torch.save's checksums switched on");
}

}  // namespace tenon::frontends
