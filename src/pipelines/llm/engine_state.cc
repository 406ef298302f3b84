#include "pipelines/llm/engine_state.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "pipelines/llm/engine_options.h"
#include "runtime/nonfinite.h"

namespace tenon::llm {
namespace {

double seconds_between(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::duration<double>(end - begin).count();
}

runtime::StageRunner& checked_decoder(runtime::Session& session) {
  runtime::StageRunner& decoder = session.stage("decoder");
  check_decoder_stage(decoder.stage());
  return decoder;
}

bool contains(const std::vector<int32_t>& ids, int32_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

}  // namespace

Engine::State::State(std::unique_ptr<runtime::Session> session_, const EngineOptions& options_)
    : session(std::move(session_)),
      model(read_model_info(session->plan())),
      decoder(checked_decoder(*session)),
      options(resolve_options(options_, model, decoder)),
      defaults(SamplingParams::from_generation(session->plan().generation)),
      tokenizer(make_tokenizer(session->plan())),
      allocator(options.cache_blocks, options.block_size),
      prefixes(allocator, options.kept_prefixes),
      scheduler(allocator,
                {.max_batch_size = options.max_batch_size,
                 .max_seq_len = options.max_seq_len,
                 .max_num_tokens = options.max_num_tokens},
                &prefixes),
      inputs(model.hidden, max_blocks(options)) {
  if (session->has_stage("sample")) sampler.emplace(session->stage("sample"));
  auto unfollowed = unfollowed_generation_fields(session->plan().generation);
  if (!unfollowed.empty()) log_warn("not followed: generation " + join(unfollowed, ", "));
  SymbolValues cache = {{"cache_blocks", options.cache_blocks}, {"block_size", options.block_size}};
  session->check_memory(decoder.state_bytes(cache));
  decoder.allocate_states(cache);
}

std::unique_ptr<Sequence> Engine::State::make_sequence(Request request, UpdateCallback callback) {
  request.sampling.validate();
  if (!sampler) throw Error(ErrorCode::WrongPlan, "the plan has no stage to draw tokens with");
  if (!tokenizer && !request.sampling.stop_strings.empty()) {
    throw Error(ErrorCode::Usage, "stop strings need a tokenizer, and the plan carries none")
        .fix("use stop_ids");
  }
  auto sequence = std::make_unique<Sequence>();
  sequence->prompt = make_prompt(std::move(request.prompt), model.vocabulary, model.hidden);
  sequence->tokens = sequence->prompt.tokens;
  auto prompt_tokens = static_cast<int64_t>(sequence->tokens.size());
  sequence->most_tokens = scheduler.most_tokens(prompt_tokens, request.sampling.max_new_tokens);
  sequence->result.prompt_tokens = prompt_tokens;
  sequence->text = std::make_unique<TextStream>(tokenizer, request.sampling.stop_strings);
  sequence->sampling = std::move(request.sampling);
  sequence->callback = std::move(callback);
  sequence->submitted = Clock::now();
  sequence->id = ++last_id;
  return sequence;
}

TensorView Engine::State::run_decoder() {
  TensorView logits = decoder.run(inputs.views())[0];
  Extents wanted{inputs.rows(), model.vocabulary};
  if (logits.dtype != DType::F32 || !(logits.extents == wanted)) {
    throw Error(ErrorCode::WrongPlan, "the decoder's logits have the wrong form")
        .got(std::string(dtype_name(logits.dtype)) + logits.extents.to_string())
        .accepted("f32" + wanted.to_string());
  }
  ++steps;
  tokens += inputs.tokens();
  return logits;
}

// Returns the sequences that draw, in the order of their rows of logits.
std::vector<Sequence*> Engine::State::fill_inputs(const std::vector<Slice>& slices) {
  using Rows = StepPart::Rows;
  std::vector<Sequence*> drawing;
  inputs.clear();
  for (const Slice& slice : slices) {
    Sequence& sequence = *slice.sequence;
    std::span<const int32_t> all(sequence.tokens);
    inputs.add({.tokens = all.subspan(sequence.computed, slice.tokens),
                .embed_rows = sequence.prompt.embed_rows,
                .first_position = sequence.computed,
                .blocks = sequence.blocks.ids(),
                .logits = slice.draws() ? Rows::Last : Rows::None});
    if (slice.draws()) drawing.push_back(&sequence);
  }
  return drawing;
}

// logits f32 [rows, vocabulary], in host memory.
void Engine::State::observe(const TensorView& logits, const std::vector<Sequence*>& drawing) {
  const float* row = logits.as<const float>();
  for (const Sequence* sequence : drawing) {
    observer(sequence->id, {row, static_cast<size_t>(model.vocabulary)});
    row += model.vocabulary;
  }
}

// The token's log probability is a sum over all logits, so it counts them for us in every step, on
// every device: NaN where a logit is NaN or +infinite. Such a token says nothing: its request is
// given up, so that the others can go on, and the step is run again to see where it began.
void Engine::State::check_numbers(const std::vector<Sequence*>& drawing,
                                  std::span<const Drawn> drawn) {
  std::vector<size_t> bad;
  for (size_t i = 0; i < drawing.size(); ++i) {
    if (!std::isfinite(drawn[i].logprob)) bad.push_back(i);
  }
  if (bad.empty()) return;
  Problems problems;
  auto first = runtime::find_first_nonfinite(decoder, inputs.views());
  std::string began = first ? first->description : "nothing is found when the step runs again";
  for (size_t i : bad) {
    drawing[i]->cancelled = true;
    Error error(ErrorCode::DeviceFault, "the model's logits are not numbers");
    error.at("request " + std::to_string(drawing[i]->id));
    error.at("new token " + std::to_string(drawing[i]->drawn())).got("first in " + began);
    error.fix("run on --device cpu to compare, or build the plan with --dtype f32");
    problems.add(std::move(error));
  }
  problems.throw_if_any();
}

std::span<const Drawn> Engine::State::draw(const TensorView& logits,
                                           const std::vector<Sequence*>& drawing) {
  std::vector<SampleRow> rows;
  for (const Sequence* sequence : drawing) {
    auto index = static_cast<uint64_t>(sequence->drawn());
    rows.push_back({&sequence->sampling, sequence->tokens, index});
  }
  if (observer) observe(decoder.to_host(logits), drawing);
  return sampler->draw(logits, rows);
}

std::vector<PendingUpdate> Engine::State::run_slices(const std::vector<Slice>& slices) {
  std::vector<Sequence*> drawing = fill_inputs(slices);
  TensorView logits = run_decoder();
  std::span<const Drawn> drawn;
  if (!drawing.empty()) drawn = draw(logits, drawing);
  check_numbers(drawing, drawn);
  // From here on nothing fails: a step that threw has changed no sequence and can be repeated.
  for (const Slice& slice : slices) slice.sequence->computed += slice.tokens;
  std::vector<PendingUpdate> updates;
  for (size_t i = 0; i < drawing.size(); ++i) updates.push_back(accept(*drawing[i], drawn[i]));
  return updates;
}

PendingUpdate Engine::State::accept(Sequence& sequence, const Drawn& drawn) const {
  Result& result = sequence.result;
  if (result.ids.empty()) {
    result.timings.first_token = seconds_between(sequence.submitted, Clock::now());
  }
  result.ids.push_back(drawn.id);
  result.logprobs.push_back(drawn.logprob);
  sequence.tokens.push_back(drawn.id);
  PendingUpdate update{&sequence, drawn.id, ""};
  bool is_eos = !sequence.sampling.ignore_eos && contains(model.eos, drawn.id);
  if (is_eos || contains(sequence.sampling.stop_ids, drawn.id)) {
    end(sequence, FinishReason::Stop, update.text);
    return update;
  }
  update.text = sequence.text->push(drawn.id);
  if (sequence.text->stopped()) {
    end(sequence, FinishReason::StopString, update.text);
  } else if (static_cast<int64_t>(sequence.tokens.size()) == sequence.most_tokens) {
    end(sequence, FinishReason::Length, update.text);
  } else {
    result.text += update.text;
  }
  return update;
}

// Adds the text that was held back to `text`, the sequence's last piece.
void Engine::State::end(Sequence& sequence, FinishReason reason, std::string& text) const {
  Result& result = sequence.result;
  text += sequence.text->finish();
  result.text += text;
  // The last bytes may have completed a stop string only now.
  bool stopped = sequence.text->stopped();
  result.finish_reason = stopped ? FinishReason::StopString : reason;
  Clock::time_point now = Clock::now();
  bool has_started = sequence.started != Clock::time_point{};
  result.timings.queued = seconds_between(sequence.submitted, has_started ? sequence.started : now);
  result.timings.total = seconds_between(sequence.submitted, now);
  sequence.ended = true;
}

std::vector<PendingUpdate> Engine::State::end_cancelled() {
  std::vector<PendingUpdate> updates;
  scheduler.for_each([&](Sequence& sequence) {
    if (!sequence.cancelled) return;
    PendingUpdate update{&sequence, std::nullopt, ""};
    end(sequence, FinishReason::Cancelled, update.text);
    sequence.result.finish_reason = FinishReason::Cancelled;
    updates.push_back(std::move(update));
  });
  return updates;
}

void Engine::State::deliver(std::vector<PendingUpdate> updates) {
  // Taken out first, so that callbacks may submit; they live until all callbacks have returned.
  std::vector<std::unique_ptr<Sequence>> ended = scheduler.take_ended();
  for (const PendingUpdate& update : updates) {
    const Sequence& sequence = *update.sequence;
    if (!sequence.callback) continue;
    sequence.callback({.id = sequence.id,
                       .token = update.token,
                       .text = update.text,
                       .result = sequence.ended ? &sequence.result : nullptr});
  }
  for (const auto& sequence : ended) {
    std::span<const int32_t> all(sequence->tokens);
    prefixes.keep(all.first(static_cast<size_t>(sequence->computed)), std::move(sequence->blocks));
  }
}

void Engine::State::drop(RequestId id) {
  Sequence* sequence = scheduler.find(id);
  if (!sequence) return;
  sequence->ended = true;
  scheduler.take_ended();
}

}  // namespace tenon::llm
