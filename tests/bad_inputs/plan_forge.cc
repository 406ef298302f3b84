#include "plan_forge.h"

#include <cstdlib>
#include <cstring>
#include <fstream>

#include "base/checked.h"
#include "plan/plan_test_plans.h"

namespace tenon::bad_inputs {
namespace {

Digest digest_of_text(const std::string& text) {
  return digest_of(std::as_bytes(std::span(text.data(), text.size())));
}

std::string chunk_digests(const std::string& weights) {
  std::string digests;
  for (size_t at = 0; at < weights.size(); at += plan::kChunkBytes) {
    auto digest = plan::encode_digest(digest_of_text(weights.substr(at, plan::kChunkBytes)));
    digests.append(reinterpret_cast<const char*>(digest.data()), digest.size());
  }
  return digests;
}

}  // namespace

std::string good_plan() {
  Folder folder;
  std::string path = folder.file("good.plan");
  plan::write_test_plan(path, plan::make_test_plan());
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::string with_header_byte(size_t at, char value) {
  constexpr size_t kDigestAt = 48;
  std::string file = good_plan();
  size_t sections = std::size(plan::section::kAll);
  file[at] = value;
  std::string covered =
      file.substr(0, kDigestAt) +
      file.substr(plan::kHeaderBytes, sections * static_cast<size_t>(plan::kEntryBytes));
  auto digest = plan::encode_digest(digest_of_text(covered));
  std::memcpy(file.data() + kDigestAt, digest.data(), digest.size());
  return file;
}

PlanForge::PlanForge() {
  std::string file = good_plan();
  plan::FileHeader header = plan::decode_header(std::as_bytes(std::span(file.data(), file.size())));
  for (const plan::SectionEntry& entry : header.sections) {
    parts_.push_back({entry.name, file.substr(entry.offset, entry.bytes), entry.optional});
  }
}

PlanForge::Part& PlanForge::part(const std::string& name) {
  for (Part& candidate : parts_) {
    if (candidate.name == name) return candidate;
  }
  std::abort();  // a mistake in the case itself
}

PlanForge& PlanForge::replace(const std::string& section, const std::string& from,
                              const std::string& to) {
  std::string& bytes = part(section).bytes;
  size_t at = bytes.find(from);
  if (at == bytes.npos) std::abort();  // a mistake in the case itself
  bytes.replace(at, from.size(), to);
  return *this;
}

PlanForge& PlanForge::set(const std::string& section, const std::string& bytes) {
  part(section).bytes = bytes;
  return *this;
}

PlanForge& PlanForge::add_before_evidence(const std::string& name, const std::string& bytes,
                                          bool optional) {
  parts_.insert(parts_.end() - 1, {name, bytes, optional});
  return *this;
}

PlanForge& PlanForge::remove(const std::string& section) {
  std::erase_if(parts_, [&](const Part& candidate) { return candidate.name == section; });
  return *this;
}

PlanForge& PlanForge::version(uint16_t major, uint16_t minor) {
  major_ = major;
  minor_ = minor;
  return *this;
}

plan::FileHeader PlanForge::header() const {
  plan::FileHeader header;
  header.major = major_;
  header.minor = minor_;
  int64_t end = plan::kHeaderBytes + static_cast<int64_t>(parts_.size()) * plan::kEntryBytes;
  for (const Part& made : parts_) {
    plan::SectionEntry entry{made.name, 0, static_cast<int64_t>(made.bytes.size()),
                             digest_of_text(made.bytes), made.optional};
    if (made.name == plan::section::kWeights)
      entry.digest = digest_of_text(chunk_digests(made.bytes));
    entry.offset = round_up(end, plan::section_alignment(made.name));
    end = entry.offset + entry.bytes;
    header.sections.push_back(entry);
  }
  header.file_bytes = end;
  return header;
}

std::string PlanForge::with_header(const plan::FileHeader& changed) const {
  plan::FileHeader placed = header();
  std::string file(placed.file_bytes, '\0');
  for (size_t i = 0; i < parts_.size(); ++i) {
    std::memcpy(file.data() + placed.sections[i].offset, parts_[i].bytes.data(),
                parts_[i].bytes.size());
  }
  std::vector<std::byte> head = plan::encode_header(changed);
  std::memcpy(file.data(), head.data(), std::min(head.size(), file.size()));
  return file;
}

std::string PlanForge::bytes() const {
  return with_header(header());
}

Case plan_case(const std::string& row, const std::string& name, Expect expect,
               const std::string& bytes, const std::string& message) {
  auto make = [bytes](const Folder& folder) { return folder.write("model.plan", bytes); };
  return {row, name, expect, make, message, use_plan};
}

}  // namespace tenon::bad_inputs
