#include "plan/plan_format.h"

#include <algorithm>
#include <cstring>
#include <unordered_set>

#include "base/checked.h"
#include "base/limits.h"

namespace tenon::plan {
namespace {

constexpr uint32_t kOptionalFlag = 1;
constexpr int64_t kDigestAt = 48;  // in the header

// Little-endian on every machine.
class Encoder {
 public:
  void number(uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) out_.push_back(static_cast<std::byte>(value >> (8 * i) & 255));
  }
  void text(std::string_view text, size_t bytes) {
    for (size_t i = 0; i < bytes; ++i) {
      out_.push_back(i < text.size() ? static_cast<std::byte>(text[i]) : std::byte{0});
    }
  }
  void digest(const Digest& digest) {
    number(digest.low, 8);
    number(digest.high, 8);
  }
  std::vector<std::byte>& bytes() { return out_; }

 private:
  std::vector<std::byte> out_;
};

class Decoder {
 public:
  explicit Decoder(std::span<const std::byte> bytes) : bytes_(bytes) {}
  uint64_t number(int bytes) {
    uint64_t value = 0;
    for (int i = bytes - 1; i >= 0; --i)
      value = value << 8 | static_cast<uint64_t>(bytes_[at_ + i]);
    at_ += bytes;
    return value;
  }
  std::string_view text(size_t bytes) {
    at_ += bytes;
    return {reinterpret_cast<const char*>(bytes_.data()) + at_ - bytes, bytes};
  }
  Digest digest() {
    Digest digest;
    digest.low = number(8);
    digest.high = number(8);
    return digest;
  }

 private:
  std::span<const std::byte> bytes_;
  size_t at_ = 0;
};

Error bad(std::string_view problem, int64_t byte) {
  return Error(ErrorCode::BadInput, problem).at("byte " + std::to_string(byte));
}

// The fields before the digest, and the table.
Digest header_digest(std::span<const std::byte> head) {
  DigestStream stream;
  stream.update(head.first(kDigestAt));
  stream.update(head.subspan(kHeaderBytes));
  return stream.finish();
}

void check_version(uint16_t major, uint16_t minor) {
  if (major == kFormatMajor) return;
  throw Error(ErrorCode::WrongPlan, "plan has another format version")
      .got(std::to_string(major) + "." + std::to_string(minor))
      .accepted(std::to_string(kFormatMajor) + ".x (this Tenon writes " +
                std::to_string(kFormatMajor) + "." + std::to_string(kFormatMinor) + ")")
      .fix(major > kFormatMajor ? "update Tenon, or build the plan again with this one"
                                : "build the plan again");
}

void check_size(uint64_t wanted, size_t have) {
  if (wanted == have) return;
  throw Error(ErrorCode::BadInput, have < wanted ? "truncated" : "bytes after the end of the plan")
      .got("have " + std::to_string(have) + ", need " + std::to_string(wanted))
      .fix("copy or build the file again");
}

std::string decode_name(std::string_view field, int64_t byte) {
  size_t end = field.find('\0');
  if (end == field.npos) throw bad("section name is not terminated", byte).got(field);
  bool good = end > 0 && field.find_first_not_of('\0', end) == field.npos;
  for (char c : field.substr(0, end)) good = good && c > 0x20 && c < 0x7F;
  if (!good)
    throw bad("section name is empty or holds other than printable ASCII", byte).got(field);
  return std::string(field.substr(0, end));
}

SectionEntry decode_entry(std::span<const std::byte> bytes, int64_t at) {
  Decoder decoder(bytes);
  SectionEntry entry;
  entry.name = decode_name(decoder.text(kSectionNameBytes), at);
  uint64_t offset = decoder.number(8), size = decoder.number(8);
  entry.digest = decoder.digest();
  uint64_t flags = decoder.number(4), reserved = decoder.number(4) | decoder.number(8);
  if (flags > kOptionalFlag || reserved != 0) {
    throw bad("unknown section flags", at + 48).at("section " + entry.name);
  }
  entry.optional = flags == kOptionalFlag;
  entry.offset = checked_cast<int64_t>(offset, "section " + entry.name + ": offset");
  entry.bytes = checked_cast<int64_t>(size, "section " + entry.name + ": bytes");
  return entry;
}

void check_zeros(std::span<const std::byte> file, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    if (file[i] != std::byte{0}) throw bad("damaged: padding is not zero", i);
  }
}

// There is one place for every section, so no byte of the file escapes a digest or this check.
void check_layout(const FileHeader& header, std::span<const std::byte> file) {
  int64_t size = static_cast<int64_t>(file.size());
  int64_t end = kHeaderBytes + static_cast<int64_t>(header.sections.size()) * kEntryBytes;
  std::unordered_set<std::string_view> names;
  for (const SectionEntry& entry : header.sections) {
    std::string place = "section " + entry.name;
    if (!names.insert(entry.name).second) {
      throw Error(ErrorCode::BadInput, "section appears twice").at(place);
    }
    if (entry.offset > size || entry.bytes > size - entry.offset) {
      throw Error(ErrorCode::BadInput, "section ends after the file")
          .at(place)
          .got("offset " + std::to_string(entry.offset) + ", " + std::to_string(entry.bytes) +
               " bytes")
          .accepted("at most " + std::to_string(size));
    }
    int64_t expected = round_up(end, section_alignment(entry.name));
    if (entry.offset != expected) {
      throw Error(ErrorCode::BadInput, "section overlaps another or leaves a gap")
          .at(place)
          .got("offset " + std::to_string(entry.offset))
          .accepted(std::to_string(expected));
    }
    check_zeros(file, end, entry.offset);
    end = entry.offset + entry.bytes;
  }
  if (end != size) throw bad("bytes after the last section", end);
}

uint32_t checked_section_count(std::span<const std::byte> file) {
  Decoder decoder(file.subspan(12));
  uint64_t flags = decoder.number(4), count = decoder.number(4), entry = decoder.number(4);
  uint64_t table = decoder.number(8);
  check_size(decoder.number(8), file.size());
  uint64_t reserved = decoder.number(8);
  if (flags != 0 || reserved != 0) throw bad("unknown header flags", 12);
  if (entry != kEntryBytes || table != kHeaderBytes) throw bad("unknown section table", 20);
  uint64_t most =
      std::min<uint64_t>(kLimits.plan_section_count, (file.size() - kHeaderBytes) / kEntryBytes);
  if (count > most) {
    throw bad("too many sections for the file", 16)
        .got(std::to_string(count))
        .accepted("at most " + std::to_string(most));
  }
  return static_cast<uint32_t>(count);
}

}  // namespace

std::array<std::byte, 16> encode_digest(const Digest& digest) {
  Encoder encoder;
  encoder.digest(digest);
  std::array<std::byte, 16> bytes;
  std::copy(encoder.bytes().begin(), encoder.bytes().end(), bytes.begin());
  return bytes;
}

Digest decode_digest(std::span<const std::byte> bytes) {
  return Decoder(bytes).digest();
}

int64_t section_alignment(std::string_view name) {
  return name == section::kWeights ? kWeightsAlignment : kSectionAlignment;
}

std::vector<std::byte> encode_header(const FileHeader& header) {
  Encoder head;
  head.text(kMagic, 8);
  head.number(header.major, 2);
  head.number(header.minor, 2);
  head.number(0, 4);  // flags
  head.number(header.sections.size(), 4);
  head.number(kEntryBytes, 4);
  head.number(kHeaderBytes, 8);  // where the table begins
  head.number(header.file_bytes, 8);
  head.number(0, 8);      // reserved
  head.digest(Digest());  // filled in below
  for (const SectionEntry& entry : header.sections) {
    head.text(entry.name, kSectionNameBytes);
    head.number(entry.offset, 8);
    head.number(entry.bytes, 8);
    head.digest(entry.digest);
    head.number(entry.optional ? kOptionalFlag : 0, 4);
    head.number(0, 4);
    head.number(0, 8);
  }
  std::array<std::byte, 16> digest = encode_digest(header_digest(head.bytes()));
  std::copy(digest.begin(), digest.end(), head.bytes().begin() + kDigestAt);
  return std::move(head.bytes());
}

FileHeader decode_header(std::span<const std::byte> file) {
  size_t compared = std::min(file.size(), kMagic.size());
  if (file.empty() || std::memcmp(file.data(), kMagic.data(), compared) != 0) {
    throw bad("not a plan file", 0).accepted("a file written by `tenon build`");
  }
  if (file.size() < static_cast<size_t>(kHeaderBytes)) check_size(kHeaderBytes, file.size());
  Decoder decoder(file.subspan(kMagic.size()));
  FileHeader header;
  header.major = static_cast<uint16_t>(decoder.number(2));
  header.minor = static_cast<uint16_t>(decoder.number(2));
  check_version(header.major, header.minor);
  uint32_t count = checked_section_count(file);
  header.file_bytes = static_cast<int64_t>(file.size());
  std::span<const std::byte> head = file.first(kHeaderBytes + count * kEntryBytes);
  if (header_digest(head) != Decoder(file.subspan(kDigestAt)).digest()) {
    throw bad("damaged: header and section table do not match their digest", 0)
        .fix("copy or build the file again");
  }
  for (uint32_t i = 0; i < count; ++i) {
    int64_t at = kHeaderBytes + i * kEntryBytes;
    header.sections.push_back(decode_entry(file.subspan(at, kEntryBytes), at));
  }
  check_layout(header, file);
  return header;
}

Digest identity_of(const FileHeader& header) {
  Encoder encoder;
  encoder.text(kMagic, 8);
  encoder.number(header.major, 2);
  encoder.number(header.minor, 2);
  for (const SectionEntry& entry : header.sections) {
    if (entry.name == section::kEvidence) continue;
    encoder.text(entry.name, kSectionNameBytes);
    encoder.number(entry.bytes, 8);
    encoder.digest(entry.digest);
  }
  return digest_of(encoder.bytes());
}

const SectionEntry* find_section(const FileHeader& header, std::string_view name) {
  for (const SectionEntry& entry : header.sections) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

}  // namespace tenon::plan
