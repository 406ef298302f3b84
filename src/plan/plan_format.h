#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"

namespace tenon::plan {

// The bytes of a plan file; docs/formats/plan.md is the written form.
//
//   header (64) | section table | zeros | weights | zeros | section | zeros | ... | evidence

inline constexpr std::string_view kMagic = "TENONPLN";
inline constexpr uint16_t kFormatMajor = 1, kFormatMinor = 0;
inline constexpr int64_t kHeaderBytes = 64, kEntryBytes = 64, kSectionNameBytes = 16;
inline constexpr int64_t kWeightsAlignment = 4096, kSectionAlignment = 64, kConstantAlignment = 256;
inline constexpr int64_t kChunkBytes = 4 << 20;

namespace section {
inline constexpr std::string_view kWeights = "weights", kChunks = "chunks", kPlan = "plan",
                                  kStages = "stages", kConstants = "constants",
                                  kTokenizer = "tokenizer", kTemplate = "template",
                                  kSelfTest = "selftest", kGraphBefore = "graph_before",
                                  kGraphAfter = "graph_after", kEvidence = "evidence";
// In the order of the file.
inline constexpr std::string_view kAll[] = {kWeights,     kChunks,     kPlan,     kStages,
                                            kConstants,   kTokenizer,  kTemplate, kSelfTest,
                                            kGraphBefore, kGraphAfter, kEvidence};
}  // namespace section

// An entry of the section table. The digest of "weights" is the digest of "chunks", which holds the
// digests of the weights' chunks.
struct SectionEntry {
  std::string name;  // 1 to 15 printable ASCII characters
  int64_t offset = 0, bytes = 0;
  Digest digest;
  bool optional = false;  // a reader that does not know it may ignore it
};

struct FileHeader {
  uint16_t major = kFormatMajor, minor = kFormatMinor;
  int64_t file_bytes = 0;
  std::vector<SectionEntry> sections;
};

// Digests as they lie in the file.
std::array<std::byte, 16> encode_digest(const Digest& digest);
Digest decode_digest(std::span<const std::byte> bytes);

int64_t section_alignment(std::string_view name);

// Header and section table: the first kHeaderBytes + sections * kEntryBytes bytes of a file.
std::vector<std::byte> encode_header(const FileHeader& header);

// Reads and verifies header and table, and that every byte between the sections is zero. Throws
// ErrorCode::WrongPlan for another format version, else BadInput naming the byte or the section.
FileHeader decode_header(std::span<const std::byte> file);

// The digest of everything but the evidence.
Digest identity_of(const FileHeader& header);

const SectionEntry* find_section(const FileHeader& header, std::string_view name);

}  // namespace tenon::plan
