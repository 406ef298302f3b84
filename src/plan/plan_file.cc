#include "plan/plan_file.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "base/checked.h"
#include "base/limits.h"
#include "base/thread_pool.h"
#include "plan/plan_format.h"
#include "plan/plan_json.h"
#include "plan/verify.h"

namespace tenon::plan {
namespace {

class MappedPlan : public PlanFile {
 public:
  explicit MappedPlan(std::shared_ptr<const MappedFile> file) : file_(std::move(file)) {}

  void read();

  const Plan& plan() const override { return plan_; }
  const Evidence& evidence() const override { return evidence_; }
  Digest identity() const override { return identity_; }
  const std::string& path() const override { return file_->path(); }
  TensorView constant(size_t index) const override;
  void verify_all_weights() const override;
  void use_large_pages() const override { file_->use_large_pages(); }
  void verify_unchanged() const override { file_->verify_unchanged(); }
  const std::vector<Section>& sections() const override { return sections_; }

 private:
  std::span<const std::byte> bytes_of(const SectionEntry& entry) const {
    return file_->bytes().subspan(entry.offset, entry.bytes);
  }
  std::string_view text_of(std::string_view name, int64_t most_bytes) const;
  void check_sections() const;
  void check_chunk_table();
  void read_sections();
  bool chunk_is_good(int64_t chunk) const;
  void verify_chunk(int64_t chunk, std::string_view user) const;
  void refuse_if_damaged() const;

  std::shared_ptr<const MappedFile> file_;
  FileHeader header_;
  bool strict_ = true;
  Plan plan_;
  Evidence evidence_;
  Digest identity_;
  std::vector<Section> sections_;
  std::span<const std::byte> weights_, chunk_digests_;
  // One bit a chunk, set once its digest was compared.
  mutable std::vector<std::atomic<uint64_t>> verified_;
};

bool is_known(std::string_view name) {
  return std::find(std::begin(section::kAll), std::end(section::kAll), name) !=
         std::end(section::kAll);
}

void MappedPlan::check_sections() const {
  for (std::string_view name : section::kAll) {
    if (!find_section(header_, name)) {
      throw Error(ErrorCode::BadInput, "section is missing").at("section " + std::string(name));
    }
  }
  if (header_.sections.back().name != section::kEvidence) {
    throw Error(ErrorCode::BadInput, "the evidence must be the last section");
  }
  for (const SectionEntry& entry : header_.sections) {
    std::string place = "section " + entry.name;
    if (!is_known(entry.name) && (strict_ || !entry.optional)) {
      throw Error(ErrorCode::BadInput, "unknown section")
          .at(place)
          .got("format " + std::to_string(header_.major) + "." + std::to_string(header_.minor))
          .fix("if a newer Tenon wrote the plan, update this one");
    }
    if (entry.name != section::kWeights && digest_of(bytes_of(entry)) != entry.digest) {
      throw Error(ErrorCode::BadInput, "damaged: section does not match its digest")
          .at(place)
          .fix("copy or build the file again");
    }
  }
}

void MappedPlan::check_chunk_table() {
  const SectionEntry& weights = *find_section(header_, section::kWeights);
  const SectionEntry& chunks = *find_section(header_, section::kChunks);
  int64_t count = ceil_div(weights.bytes, kChunkBytes);
  if (chunks.bytes != count * 16 || chunks.digest != weights.digest) {
    throw Error(ErrorCode::BadInput, "digests do not fit the weights")
        .at("section chunks")
        .got(std::to_string(chunks.bytes) + " bytes")
        .accepted(std::to_string(count * 16) + ", with the digest of the section weights");
  }
  weights_ = bytes_of(weights);
  chunk_digests_ = bytes_of(chunks);
  verified_ = std::vector<std::atomic<uint64_t>>(ceil_div(count, 64));
}

std::string_view MappedPlan::text_of(std::string_view name, int64_t most_bytes) const {
  std::span<const std::byte> bytes = bytes_of(*find_section(header_, name));
  if (static_cast<int64_t>(bytes.size()) > most_bytes) {
    throw Error(ErrorCode::BadInput, "section is too large")
        .at("section " + std::string(name))
        .got(std::to_string(bytes.size()) + " bytes")
        .accepted("at most " + std::to_string(most_bytes));
  }
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Calls `read` with a section's text and names the section in its errors.
template <class Read>
void in_section(std::string_view name, std::string_view text, Read&& read) {
  try {
    read(text);
  } catch (Error& error) {
    error.within("section " + std::string(name));
    throw;
  }
}

void MappedPlan::read_sections() {
  auto json = [&](std::string_view name, auto&& read) {
    in_section(name, text_of(name, kLimits.plan_json_bytes), read);
  };
  json(section::kPlan, [&](std::string_view text) { read_plan_section(text, strict_, plan_); });
  json(section::kStages,
       [&](std::string_view text) { plan_.stages = read_stages_section(text, strict_); });
  json(section::kConstants,
       [&](std::string_view text) { plan_.constants = read_constants_section(text, strict_); });
  json(section::kSelfTest, [&](std::string_view text) { plan_.self_test = parse_section(text); });
  json(section::kEvidence, [&](std::string_view text) { evidence_.entries = parse_section(text); });
  plan_.tokenizer = text_of(section::kTokenizer, kLimits.plan_graph_bytes);
  plan_.chat_template = text_of(section::kTemplate, kLimits.plan_json_bytes);
  plan_.graph_before = text_of(section::kGraphBefore, kLimits.plan_graph_bytes);
  plan_.graph_after = text_of(section::kGraphAfter, kLimits.plan_graph_bytes);
}

void MappedPlan::read() {
  header_ = decode_header(file_->bytes());
  strict_ = header_.minor <= kFormatMinor;
  check_sections();
  check_chunk_table();
  read_sections();
  verify(plan_, static_cast<int64_t>(weights_.size()));
  identity_ = identity_of(header_);
  for (const SectionEntry& entry : header_.sections) {
    sections_.push_back({entry.name, entry.offset, entry.bytes, entry.digest});
  }
}

bool MappedPlan::chunk_is_good(int64_t chunk) const {
  std::atomic<uint64_t>& word = verified_[chunk / 64];
  uint64_t bit = uint64_t{1} << (chunk % 64);
  if (word.load(std::memory_order_acquire) & bit) return true;
  int64_t begin = chunk * kChunkBytes;
  int64_t size = std::min<int64_t>(kChunkBytes, static_cast<int64_t>(weights_.size()) - begin);
  if (decode_digest(chunk_digests_.subspan(chunk * 16, 16)) !=
      digest_of(weights_.subspan(begin, size))) {
    return false;
  }
  word.fetch_or(bit, std::memory_order_release);
  return true;
}

void MappedPlan::verify_chunk(int64_t chunk, std::string_view user) const {
  if (chunk_is_good(chunk)) return;
  refuse_if_damaged();
  int64_t begin = find_section(header_, section::kWeights)->offset + chunk * kChunkBytes;
  throw Error(ErrorCode::BadInput, "damaged: weights do not match their digest")
      .at(path())
      .at(user)
      .at("4 MiB from byte " + std::to_string(begin))
      .fix("copy or build the file again");
}

// A page that could not be read (the file was cut while mapped) is zeros in memory.
void MappedPlan::refuse_if_damaged() const {
  if (file_->damaged()) file_->verify_unchanged();
}

TensorView MappedPlan::constant(size_t index) const {
  TENON_CHECK(index < plan_.constants.size());
  const Constant& constant = plan_.constants[index];
  int64_t end = ceil_div(constant.offset + constant.bytes, kChunkBytes);
  for (int64_t chunk = constant.offset / kChunkBytes; constant.bytes > 0 && chunk < end; ++chunk) {
    verify_chunk(chunk, "constant " + constant.name);
  }
  refuse_if_damaged();
  return TensorView(weights_.data() + constant.offset, constant.dtype, constant.extents);
}

void MappedPlan::verify_all_weights() const {
  int64_t count = ceil_div(static_cast<int64_t>(weights_.size()), kChunkBytes);
  process_thread_pool().parallel_for(count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t chunk = begin; chunk < end; ++chunk) verify_chunk(chunk, "weights");
  });
  refuse_if_damaged();
}

}  // namespace

std::shared_ptr<const PlanFile> PlanFile::open(const std::string& path) {
  auto file = MappedFile::open(path);
  auto plan = std::make_shared<MappedPlan>(file);
  try {
    plan->read();
  } catch (Error& error) {
    // A file that was cut while it was read fails in odd ways; the cause is the better message.
    file->verify_unchanged();
    error.within(path);
    throw;
  }
  file->verify_unchanged();
  return plan;
}

}  // namespace tenon::plan
