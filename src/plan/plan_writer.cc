#include <array>
#include <optional>

#include "base/checked.h"
#include "plan/evidence_writer.h"
#include "plan/plan_file.h"
#include "plan/plan_format.h"
#include "plan/plan_json.h"
#include "plan/verify.h"

namespace tenon::plan {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// Digests of consecutive chunks of data that arrives in pieces.
class ChunkDigests {
 public:
  void update(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      size_t count = std::min<size_t>(bytes.size(), kChunkBytes - filled_);
      stream_->update(bytes.first(count));
      filled_ += static_cast<int64_t>(count);
      bytes = bytes.subspan(count);
      if (filled_ == kChunkBytes) end_chunk();
    }
  }
  std::vector<std::byte> finish() {
    if (filled_ > 0) end_chunk();
    return std::move(digests_);
  }

 private:
  void end_chunk() {
    std::array<std::byte, 16> digest = encode_digest(stream_->finish());
    digests_.insert(digests_.end(), digest.begin(), digest.end());
    stream_.emplace();
    filled_ = 0;
  }
  std::optional<DigestStream> stream_{std::in_place};
  int64_t filled_ = 0;
  std::vector<std::byte> digests_;
};

// Gives each constant its place; returns the size of the weights.
int64_t lay_out(std::vector<Constant>& constants) {
  int64_t end = 0;
  for (Constant& constant : constants) {
    int64_t count = checked_product(constant.extents.span(), "constant " + constant.name);
    constant.bytes = dtype_bytes(constant.dtype, count);
    constant.offset = round_up(end, kConstantAlignment);
    end = checked_add(constant.offset, constant.bytes, "constant " + constant.name);
  }
  return end;
}

}  // namespace

struct PlanWriter::State {
  State(std::string path, Plan given) : plan(std::move(given)) {
    weights_bytes = lay_out(plan.constants);
    verify(plan, weights_bytes);
    file.emplace(std::move(path));
    // The place of header and table; they are written last.
    file->append(std::vector<std::byte>(kHeaderBytes + std::size(section::kAll) * kEntryBytes));
    file->pad_to(kWeightsAlignment);
    header.sections.push_back(
        {std::string(section::kWeights), file->size(), weights_bytes, {}, false});
  }

  void append_weights(std::span<const std::byte> bytes) {
    chunks.update(bytes);
    file->append(bytes);
  }
  Digest add_section(std::string_view name, std::span<const std::byte> bytes) {
    file->pad_to(section_alignment(name));
    Digest digest = digest_of(bytes);
    header.sections.push_back(
        {std::string(name), file->size(), static_cast<int64_t>(bytes.size()), digest, false});
    file->append(bytes);
    return digest;
  }
  void add_text(std::string_view name, std::string_view text) { add_section(name, bytes_of(text)); }

  Plan plan;
  int64_t weights_bytes = 0;
  std::optional<AtomicFile> file;
  FileHeader header;
  ChunkDigests chunks;
  size_t next_constant = 0;
  bool finished = false;
};

PlanWriter::PlanWriter(std::string path, Plan plan)
    : state_(std::make_unique<State>(std::move(path), std::move(plan))) {}
PlanWriter::~PlanWriter() = default;

const Plan& PlanWriter::plan() const {
  return state_->plan;
}
const std::string& PlanWriter::temporary_path() const {
  return state_->file->temporary_path();
}

void PlanWriter::write_constant(size_t index, std::span<const std::byte> bytes) {
  State& state = *state_;
  TENON_CHECK(index == state.next_constant && index < state.plan.constants.size());
  const Constant& constant = state.plan.constants[index];
  TENON_CHECK(static_cast<int64_t>(bytes.size()) == constant.bytes);
  int64_t written = state.file->size() - state.header.sections.front().offset;
  state.append_weights(std::vector<std::byte>(constant.offset - written));
  state.append_weights(bytes);
  ++state.next_constant;
}

void PlanWriter::finish() {
  State& state = *state_;
  TENON_CHECK(!state.finished && state.next_constant == state.plan.constants.size());
  state.header.sections.front().digest = state.add_section(section::kChunks, state.chunks.finish());
  state.add_text(section::kPlan, write_plan_section(state.plan));
  state.add_text(section::kStages, write_stages_section(state.plan.stages));
  state.add_text(section::kConstants, write_constants_section(state.plan.constants));
  state.add_text(section::kTokenizer, state.plan.tokenizer);
  state.add_text(section::kTemplate, state.plan.chat_template);
  state.add_text(section::kSelfTest, json_text(state.plan.self_test, section::kSelfTest));
  state.add_text(section::kGraphBefore, state.plan.graph_before);
  state.add_text(section::kGraphAfter, state.plan.graph_after);
  state.finished = true;
  write_evidence(Evidence());
}

void PlanWriter::write_evidence(const Evidence& evidence) {
  State& state = *state_;
  TENON_CHECK(state.finished);
  put_evidence(*state.file, state.header, json_text(evidence.entries, section::kEvidence));
  state.file->sync();
}

void PlanWriter::commit() {
  TENON_CHECK(state_->finished);
  state_->file->commit();
}

void PlanWriter::commit_as(const std::string& path) {
  TENON_CHECK(state_->finished);
  state_->file->commit_as(path);
}

}  // namespace tenon::plan
