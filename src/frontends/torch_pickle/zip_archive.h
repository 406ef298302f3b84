#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace tenon::frontends {

// A stored record of an archive; its name lies in the archive's bytes.
struct ZipRecord {
  std::string_view name;
  int64_t header = 0;           // of the local header, from the start of the archive
  int64_t begin = 0, size = 0;  // of the data, as stored
  uint32_t crc = 0;
  bool stored = true;  // else compressed
};

// The directory of a zip archive in memory, as PyTorch writes it. Fully verified: both copies of
// every header agree, no two records overlap, nothing lies outside, nothing is encrypted, and
// nothing follows the end. So no other reader sees other records than this one. Checksums are
// verified once a record is wanted. Borrows the memory.
class ZipArchive {
 public:
  // Throws ErrorCode::BadInput or Unsupported naming the record and the byte.
  explicit ZipArchive(std::span<const std::byte> bytes);

  // Sorted by name.
  const std::vector<ZipRecord>& records() const { return records_; }
  // nullptr where there is none.
  const ZipRecord* find(std::string_view name) const;
  // Throws ErrorCode::Unsupported naming the first record that is compressed.
  void require_stored() const;
  // The record's data; the caller calls verify() before it believes them.
  std::span<const std::byte> data(const ZipRecord& record) const;
  // Throws ErrorCode::BadInput where the data do not have the checksum of the directory.
  void verify(const ZipRecord& record) const;

 private:
  std::span<const std::byte> bytes_;
  std::vector<ZipRecord> records_;
};

}  // namespace tenon::frontends
