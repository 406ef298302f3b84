#include "compiler/tune_gate.h"

#include <algorithm>

#include "base/error.h"
#include "compiler/check_data.h"
#include "compiler/wide_plan.h"
#include "pipelines/llm/model_info.h"
#include "runtime/backend_loader.h"

namespace tenon::compiler {
namespace {

// Decoding is compared over so many positions of each sequence, a prompt over its last ones.
constexpr int64_t kDecoded = 12, kMostRows = 32, kMostLogitBytes = 16ll << 20;

using Texts = std::vector<std::vector<int32_t>>;

// The check prompts, repeated up to the length; each sequence begins at another one.
Texts make_texts(const DecoderShape& shape, const llm::ModelInfo& model,
                 const text::Tokenizer* tokenizer) {
  bool decodes = shape.tokens_each == 1;
  auto length = static_cast<size_t>(decodes ? std::min(kDecoded, shape.context)
                                            : std::min(shape.tokens_each, shape.context));
  CheckData data = built_in_check_data(tokenizer, model.vocabulary, model.max_seq_len);
  size_t prompts = data.seq_offsets.size() - 1;
  Texts texts;
  for (int64_t seq = 0; seq < shape.seqs; ++seq) {
    std::vector<int32_t> ids;
    for (size_t prompt = static_cast<size_t>(seq); ids.size() < length; ++prompt) {
      ids.insert(ids.end(), data.ids.begin() + data.seq_offsets[prompt % prompts],
                 data.ids.begin() + data.seq_offsets[prompt % prompts + 1]);
    }
    ids.resize(length);
    texts.push_back(std::move(ids));
  }
  return texts;
}

int64_t rows_kept(const DecoderShape& shape, const Texts& texts, int64_t vocabulary) {
  auto length = static_cast<int64_t>(texts[0].size());
  int64_t most = std::max<int64_t>(1, kMostLogitBytes / (4 * vocabulary * shape.seqs));
  return std::min({length, kMostRows, most});
}

// Rows of all shapes together: a share of 99 % cannot be read off twelve rows.
class Rows {
 public:
  void add(const Tensor& logits) {
    auto bytes = logits.view().byte_span();
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    vocabulary_ = logits.view().columns();
  }
  Tensor all() const {
    auto rows = static_cast<int64_t>(bytes_.size()) / (4 * vocabulary_);
    Tensor logits = Tensor::make(DType::F32, {rows, vocabulary_});
    std::copy(bytes_.begin(), bytes_.end(), reinterpret_cast<std::byte*>(logits.as<float>()));
    return logits;
  }

 private:
  std::vector<std::byte> bytes_;
  int64_t vocabulary_ = 1;
};

}  // namespace

Tensor run_in_steps(runtime::Session& session, const DecoderShape& shape, const Texts& texts,
                    int64_t kept) {
  runtime::StageRunner& decoder = session.stage("decoder");
  decoder.allocate_states(cache_symbols(shape));
  const plan::Stage& stage = decoder.stage();
  int64_t hidden = stage.values[stage.inputs[1]].type.shape[1].constant();
  int64_t vocabulary = stage.values[stage.outputs[0]].type.shape[1].constant();
  auto length = static_cast<int64_t>(texts[0].size()), seqs = static_cast<int64_t>(texts.size());
  Tensor logits = Tensor::make(DType::F32, {seqs * kept, vocabulary});
  for (int64_t first = 0; first < length; first += shape.tokens_each) {
    int64_t count = std::min(shape.tokens_each, length - first);
    DecoderBatch batch(shape, hidden, texts, first, llm::StepPart::Rows::All);
    TensorView all = decoder.to_host(decoder.run(batch.views())[0]);
    for (int64_t seq = 0; seq < seqs; ++seq) {
      for (int64_t i = 0; i < count; ++i) {
        int64_t at = first + i - (length - kept), row = seq * count + i;
        if (at < 0) continue;
        copy_convert(all.slice(0, row, row + 1),
                     logits.view().slice(0, seq * kept + at, seq * kept + at + 1));
      }
    }
  }
  return logits;
}

TuneGate run_tune_gate(const std::shared_ptr<const plan::PlanFile>& file,
                       const device::DeviceId& device, const plan::TacticSet& tactics,
                       const std::vector<DecoderShape>& shapes, const GateBudget& budget,
                       Progress& progress) {
  TuneGate gate;
  llm::ModelInfo model = llm::read_model_info(file->plan());
  std::shared_ptr<const text::Tokenizer> tokenizer = llm::make_tokenizer(file->plan());
  plan::Plan wide = make_wide_plan(file->plan());
  PlanConstants constants(file);
  Rows reference, plain, tuned;
  auto session = runtime::Session::open(file, {.devices = {device}, .use_tactics = false});
  runtime::StageRunner& decoder = session->stage("decoder");
  runtime::ActiveTactics active(session->device().fingerprint());
  active.add(tactics, "measured", decoder.backends());
  progress.begin("fidelity gate on " + device.to_string(), static_cast<int64_t>(shapes.size()));
  int64_t done = 0;
  for (const DecoderShape& shape : shapes) {
    Texts texts = make_texts(shape, model, tokenizer.get());
    int64_t kept = rows_kept(shape, texts, model.vocabulary);
    // The oracle takes each text in one step: what it computes does not depend on the steps.
    DecoderShape whole = shape;
    whole.tokens_each = static_cast<int64_t>(texts[0].size());
    reference.add(
        run_in_steps(*std::make_unique<runtime::Session>(wide, constants), whole, texts, kept));
    decoder.use_tactics(nullptr);
    plain.add(run_in_steps(*session, shape, texts, kept));
    decoder.use_tactics(&active);
    tuned.add(run_in_steps(*session, shape, texts, kept));
    progress.advance(++done);
  }
  decoder.use_tactics(nullptr);
  progress.end();

  GateResult with = compare_with_oracle(tuned.all(), reference.all(), budget);
  GateResult without = compare_with_oracle(plain.all(), reference.all(), budget);
  gate.failures = with.failures;
  gate.report = with.report;
  gate.report.set("without_tactics", without.report.at("against_oracle", "report"));
  gate.report.set("held_against", "the plan's weights in f32 on the CPU");
  if (!without.passed) {
    // These texts are hard for the plan itself, which was proven on others; the tactics are held to
    // what they change.
    GateResult change = compare_with_oracle(tuned.all(), plain.all(), budget);
    gate.failures = change.failures;
    gate.report.set("change", change.report.at("against_oracle", "report"));
    gate.report.set("held_against", "the plan without tactics");
  }
  gate.report.set("passed", gate.failures.empty())
      .set("shapes", static_cast<int64_t>(shapes.size()));
  gate.report.set("device", session->device().description());
  gate.skipped = active.skipped();
  return gate;
}

}  // namespace tenon::compiler
