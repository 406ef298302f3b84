#include <algorithm>

#include "compiler/tune_subject.h"
#include "pipelines/llm/engine_options.h"
#include "pipelines/llm/model_info.h"

namespace tenon::compiler {
namespace {

// What a machine without much memory can spare for the caches of a measurement.
constexpr int64_t kMostHostCacheBytes = 1ll << 30;
constexpr int64_t kLeastContext = 64, kMostContext = 2048;

std::vector<int64_t> powers_of_two(int64_t from, int64_t to) {
  std::vector<int64_t> values;
  for (int64_t value = from; value < to; value *= 2) values.push_back(value);
  if (to >= from) values.push_back(to);
  return values;
}

class LanguageSubject : public TuneSubject {
 public:
  LanguageSubject(std::shared_ptr<const plan::PlanFile> file, const TuneOptions& options,
                  Progress& progress)
      : options_(options), progress_(progress), file_(std::move(file)) {
    model_ = llm::read_model_info(file_->plan());
    budget_ = budget_of(file_->plan());
    choose_sizes();
  }

  void measure(StepTuner& steps) override {
    auto session =
        runtime::Session::open(file_, {.devices = {options_.device}, .use_tactics = false});
    runtime::StageRunner& decoder = session->stage("decoder");
    llm::check_decoder_stage(decoder.stage());
    int64_t free_bytes = decoder.is_host() ? 0 : session->device().free_bytes();
    shapes_ = wanted_shapes(decoder, free_bytes);
    int64_t count = 0;
    for (const DecoderShape& shape : shapes_) {
      decoder.allocate_states(cache_symbols(shape));
      count += steps.count(decoder, symbols_of(shape));
    }
    progress_.begin("measuring", count);
    for (const DecoderShape& shape : shapes_) tune_shape(decoder, shape, steps);
    progress_.end();
  }

  TuneGate prove(const plan::TacticSet& tactics) override {
    return run_tune_gate(file_, options_.device, tactics, shapes_, budget_, progress_);
  }

 private:
  void choose_sizes() {
    batches_ =
        options_.batches.empty() ? powers_of_two(1, model_.max_batch_size) : options_.batches;
    prompts_ = options_.prompts;
    if (prompts_.empty() && model_.max_seq_len > kLeastContext) {
      prompts_ = powers_of_two(kLeastContext, std::min<int64_t>(512, model_.max_seq_len - 1));
    }
    check_sizes(batches_, "--batches", model_.max_batch_size);
    check_sizes(prompts_, "--prompts", model_.max_seq_len);
    context_ =
        options_.context == 0 ? std::min(model_.max_seq_len, kMostContext) : options_.context;
    check_sizes({context_}, "--context", model_.max_seq_len);
    for (int64_t prompt : prompts_) context_ = std::max(context_, prompt);
  }

  // Fewer positions where the caches of a large batch would take too much memory.
  int64_t context_for(runtime::StageRunner& decoder, int64_t free_bytes, int64_t seqs) {
    int64_t most = decoder.is_host() ? kMostHostCacheBytes : free_bytes / 4;
    int64_t context = context_;
    while (context > kLeastContext &&
           decoder.state_bytes(cache_symbols({seqs, 1, context})) > most) {
      context /= 2;
    }
    return context;
  }

  std::vector<DecoderShape> wanted_shapes(runtime::StageRunner& decoder, int64_t free_bytes) {
    std::vector<DecoderShape> shapes;
    for (int64_t batch : batches_)
      shapes.push_back({batch, 1, context_for(decoder, free_bytes, batch)});
    int64_t alone = context_for(decoder, free_bytes, 1);
    for (int64_t prompt : prompts_) shapes.push_back({1, prompt, std::max(alone, prompt)});
    return shapes;
  }

  void tune_shape(runtime::StageRunner& decoder, const DecoderShape& shape, StepTuner& steps) {
    decoder.allocate_states(cache_symbols(shape));
    std::vector<StepGroup> groups = steps.left_to_tune(decoder, symbols_of(shape));
    if (groups.empty()) return;
    DecoderBatch batch(shape, model_.hidden, model_.vocabulary);
    decoder.run(batch.views());
    data::Json size = data::Json::object();
    size.set("seqs", shape.seqs).set("tokens_each", shape.tokens_each);
    steps.tune(decoder, groups, size);
  }

  const TuneOptions& options_;
  Progress& progress_;
  std::shared_ptr<const plan::PlanFile> file_;
  llm::ModelInfo model_;
  GateBudget budget_;
  std::vector<int64_t> batches_, prompts_;
  int64_t context_ = 0;
  std::vector<DecoderShape> shapes_;
};

}  // namespace

std::unique_ptr<TuneSubject> make_language_subject(std::shared_ptr<const plan::PlanFile> file,
                                                   const TuneOptions& options, Progress& progress) {
  return std::make_unique<LanguageSubject>(std::move(file), options, progress);
}

}  // namespace tenon::compiler
