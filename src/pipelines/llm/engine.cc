#include "pipelines/llm/engine.h"

#include <algorithm>

#include "base/error.h"
#include "pipelines/llm/engine_options.h"
#include "pipelines/llm/engine_state.h"

namespace tenon::llm {
namespace {

// Logits of one piece of a text; a large vocabulary makes the pieces short.
constexpr int64_t kForcedLogitsBytes = 64 << 20;

std::unique_ptr<runtime::Session> open_session(std::shared_ptr<const plan::PlanFile> file,
                                               const EngineOptions& options) {
  // Read before the session is made: a plan of another kind then has the clearer error.
  read_model_info(file->plan());
  runtime::SessionOptions session_options;
  session_options.devices = {options.device};
  return runtime::Session::open(std::move(file), session_options);
}

}  // namespace

std::unique_ptr<Engine> Engine::open(std::shared_ptr<const plan::PlanFile> file,
                                     const EngineOptions& options) {
  return std::make_unique<Engine>(open_session(std::move(file), options), options);
}

Engine::Engine(std::unique_ptr<runtime::Session> session, const EngineOptions& options)
    : state_(std::make_unique<State>(std::move(session), options)) {}

Engine::~Engine() = default;

RequestId Engine::submit(Request request, UpdateCallback callback) {
  std::unique_ptr<Sequence> sequence =
      state_->make_sequence(std::move(request), std::move(callback));
  RequestId id = sequence->id;
  state_->scheduler.enqueue(std::move(sequence));
  return id;
}

void Engine::cancel(RequestId id) {
  if (Sequence* sequence = state_->scheduler.find(id)) sequence->cancelled = true;
}

bool Engine::step() {
  std::vector<PendingUpdate> cancelled = state_->end_cancelled();
  bool worked = !cancelled.empty();
  state_->deliver(std::move(cancelled));
  std::vector<Slice> slices = state_->scheduler.schedule();
  if (slices.empty()) return worked;
  state_->deliver(state_->run_slices(slices));
  return true;
}

void Engine::run_until_done() {
  while (step()) {
  }
}

Result Engine::generate(Request request, UpdateCallback callback) {
  Result result;
  bool done = false;
  RequestId id = submit(std::move(request), [&](const Update& update) {
    if (update.result) {
      result = *update.result;
      done = true;
    }
    if (callback) callback(update);
  });
  try {
    while (!done) TENON_CHECK(step());
  } catch (...) {
    // Its callback refers to this call's variables.
    state_->drop(id);
    throw;
  }
  return result;
}

void Engine::forced_logits(const std::vector<Segment>& segments, const LogitsCallback& callback) {
  State& state = *state_;
  Prompt prompt = make_prompt(segments, state.model.vocabulary, state.model.hidden);
  auto count = static_cast<int64_t>(prompt.tokens.size());
  int64_t need = state.allocator.blocks_for(count);
  while (need > state.allocator.free_blocks() && state.prefixes.evict()) {
  }
  int64_t have = state.allocator.free_blocks();
  if (count > state.options.max_seq_len || need > have) {
    throw Error(ErrorCode::Usage, "the text does not fit")
        .got(std::to_string(count) + " tokens, " + std::to_string(need) + " cache blocks")
        .accepted("at most " + std::to_string(state.options.max_seq_len) + " tokens, " +
                  std::to_string(have) + " free cache blocks");
  }
  Blocks blocks = state.allocator.make_blocks(need);
  int64_t row_bytes = state.model.vocabulary * static_cast<int64_t>(sizeof(float));
  int64_t most =
      std::min({state.options.max_num_tokens, std::max<int64_t>(1, kForcedLogitsBytes / row_bytes),
                most_of(state.decoder.stage(), "rows", count)});
  for (int64_t first = 0; first < count; first += most) {
    auto tokens =
        std::span<const int32_t>(prompt.tokens).subspan(first, std::min(most, count - first));
    state.inputs.clear();
    state.inputs.add({.tokens = tokens,
                      .embed_rows = prompt.embed_rows,
                      .first_position = first,
                      .blocks = blocks.ids(),
                      .logits = StepPart::Rows::All});
    callback(first, state.decoder.to_host(state.run_decoder()));
  }
}

void Engine::forced_logits(std::span<const int32_t> ids, const LogitsCallback& callback) {
  forced_logits({Segment::of_ids({ids.begin(), ids.end()})}, callback);
}

void Engine::set_logits_observer(LogitsObserver observer) {
  state_->observer = std::move(observer);
}

const ModelInfo& Engine::model() const {
  return state_->model;
}
const EngineOptions& Engine::options() const {
  return state_->options;
}
const SamplingParams& Engine::defaults() const {
  return state_->defaults;
}
const std::shared_ptr<const text::Tokenizer>& Engine::tokenizer() const {
  return state_->tokenizer;
}
runtime::Session& Engine::session() {
  return *state_->session;
}

EngineStats Engine::stats() const {
  return {.waiting = state_->scheduler.waiting(),
          .running = state_->scheduler.running(),
          .free_blocks = state_->allocator.free_blocks(),
          .blocks = state_->allocator.blocks(),
          .steps = state_->steps,
          .tokens = state_->tokens};
}

}  // namespace tenon::llm
