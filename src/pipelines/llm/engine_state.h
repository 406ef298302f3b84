#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pipelines/llm/block_allocator.h"
#include "pipelines/llm/engine.h"
#include "pipelines/llm/sampler.h"
#include "pipelines/llm/scheduler.h"
#include "pipelines/llm/step_inputs.h"

namespace tenon::llm {

// An update whose text is owned, until the callbacks are called.
struct PendingUpdate {
  Sequence* sequence = nullptr;
  std::optional<int32_t> token;
  std::string text;
};

// What an Engine holds. The order matters: sequences give their blocks back to the allocator.
struct Engine::State {
  State(std::unique_ptr<runtime::Session> session_, const EngineOptions& options_);

  std::unique_ptr<runtime::Session> session;
  ModelInfo model;
  runtime::StageRunner& decoder;
  EngineOptions options;
  SamplingParams defaults;
  std::shared_ptr<const text::Tokenizer> tokenizer;
  std::optional<Sampler> sampler;  // none where the plan has no sample stage
  BlockAllocator allocator;
  PrefixCache prefixes;
  Scheduler scheduler;
  StepInputs inputs;
  LogitsObserver observer;
  RequestId last_id = 0;
  int64_t steps = 0, tokens = 0;

  std::unique_ptr<Sequence> make_sequence(Request request, UpdateCallback callback);
  // Runs the decoder on what is in `inputs`. The logits [rows, vocabulary] are borrowed until the
  // next run.
  TensorView run_decoder();
  std::vector<PendingUpdate> run_slices(const std::vector<Slice>& slices);
  std::vector<PendingUpdate> end_cancelled();
  // Calls the callbacks, then lets go of the sequences that ended.
  void deliver(std::vector<PendingUpdate> updates);
  void drop(RequestId id);

 private:
  std::vector<Sequence*> fill_inputs(const std::vector<Slice>& slices);
  void observe(const TensorView& logits, const std::vector<Sequence*>& drawing);
  std::span<const Drawn> draw(const TensorView& logits, const std::vector<Sequence*>& drawing);
  void check_numbers(const std::vector<Sequence*>& drawing, std::span<const Drawn> drawn);
  PendingUpdate accept(Sequence& sequence, const Drawn& drawn) const;
  void end(Sequence& sequence, FinishReason reason, std::string& text) const;
};

}  // namespace tenon::llm
