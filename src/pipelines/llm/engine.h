#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "device/device.h"
#include "pipelines/llm/model_info.h"
#include "pipelines/llm/request.h"
#include "plan/plan_file.h"
#include "runtime/session.h"
#include "text/tokenizer.h"

namespace tenon::llm {

struct EngineOptions {
  device::DeviceId device = {};  // read by Engine::open only
  int64_t max_batch_size = 0;    // sequences that run at once; 0: the plan's
  int64_t max_seq_len = 0;       // positions of one sequence; 0: the plan's
  int64_t cache_bytes = 0;       // at most this much for the KV cache, or
  int64_t cache_blocks = 0;      // this many blocks; both 0: max_batch_size full sequences
  int64_t block_size = 16;       // positions of a cache block; 0: one block a sequence
  int64_t max_num_tokens = 512;  // of all sequences in one step
  // Ended sequences whose cache is kept for a request that begins as they did, while nobody else
  // needs the blocks. 0: none.
  int64_t kept_prefixes = 0;
};

struct EngineStats {
  int64_t waiting = 0, running = 0;
  int64_t free_blocks = 0, blocks = 0;
  int64_t steps = 0, tokens = 0;  // run so far; tokens counts prompt and new ones
};

// Logits of consecutive positions: row i belongs to position `first + i`. f32 [rows, vocabulary],
// borrowed for the call.
using LogitsCallback = std::function<void(int64_t first, const TensorView& logits)>;
// Logits of one sequence, from which its next token is about to be drawn. f32 [vocabulary].
using LogitsObserver = std::function<void(RequestId id, std::span<const float> logits)>;

// Runs the requests of one language-model plan with continuous batching: each step mixes pieces of
// prompts and single tokens of many sequences. Not thread-safe; README.md has the contract.
class Engine {
 public:
  // Throws where the plan is no language model, or the options ask for what it cannot do.
  static std::unique_ptr<Engine> open(std::shared_ptr<const plan::PlanFile> file,
                                      const EngineOptions& options = {});
  // Uses a session made elsewhere (a plan in memory).
  explicit Engine(std::unique_ptr<runtime::Session> session, const EngineOptions& options = {});
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Throws ErrorCode::Usage or BadInput where the request is wrong or can never fit, with need and
  // have; nothing is queued then. `callback` may be empty.
  RequestId submit(Request request, UpdateCallback callback = {});
  // Ends a request with FinishReason::Cancelled: in the next step, or in this one where called from
  // a callback. Unknown or ended ids are ignored.
  void cancel(RequestId id);
  // One pass through the model. False where nothing was waiting or running.
  bool step();
  void run_until_done();
  // One request on its own behalf: submits, runs until it ends (others run along), returns.
  Result generate(Request request, UpdateCallback callback = {});

  // The logits of every position of a given text (teacher forcing), in pieces, so that memory stays
  // bounded. Needs free cache blocks; running requests are not disturbed.
  void forced_logits(const std::vector<Segment>& prompt, const LogitsCallback& callback);
  void forced_logits(std::span<const int32_t> ids, const LogitsCallback& callback);
  // Sees the logits of every token that is drawn; empty: none.
  void set_logits_observer(LogitsObserver observer);

  const ModelInfo& model() const;
  const EngineOptions& options() const;  // with nothing left at 0, except cache_bytes
  // The plan's sampling defaults.
  const SamplingParams& defaults() const;
  // nullptr where the plan carries none: then only ids work, and results have no text.
  const std::shared_ptr<const text::Tokenizer>& tokenizer() const;
  EngineStats stats() const;
  runtime::Session& session();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tenon::llm
