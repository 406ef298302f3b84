#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/json.h"
#include "tensor/tensor.h"

namespace tenon::llm {

// A run of prompt positions: token ids, or embeddings that another stage made (an image, say).
class Segment {
 public:
  static Segment of_ids(std::vector<int32_t> ids);
  // Owns the memory. f32 [tokens, hidden].
  static Segment of_embeddings(Tensor embeddings);
  // Borrows: the memory must stay valid and unchanged until the request has ended.
  static Segment borrow_embeddings(const TensorView& embeddings);  // f32 [tokens, hidden]

  bool has_embeddings() const { return has_embeddings_; }
  const std::vector<int32_t>& ids() const { return ids_; }
  const TensorView& embeddings() const { return embeddings_; }
  int64_t tokens() const;

 private:
  std::vector<int32_t> ids_;
  std::shared_ptr<const Tensor> owned_;
  TensorView embeddings_;
  bool has_embeddings_ = false;
};

// How tokens are drawn and when to stop. The defaults are greedy, until the sequence is full.
struct SamplingParams {
  double temperature = 0;  // 0: greedy, the lowest id of the largest logit
  int64_t top_k = 0;       // 0: off
  double top_p = 1;        // 1: off
  double repetition_penalty = 1;
  // The same seed gives a request the same draws, alone or in any batch.
  uint64_t seed = 0;
  int64_t max_new_tokens = 0;             // 0: as many as the engine's max_seq_len leaves room for
  std::vector<int32_t> stop_ids;          // besides the end-of-sequence ids of the plan
  std::vector<std::string> stop_strings;  // none of them, nor text after one, is ever shown
  bool ignore_eos = false;  // the plan's end-of-sequence ids are tokens like any other

  // Throws one ErrorCode::Usage that lists every problem.
  void validate() const;

  // The defaults of a plan: its generation section, read as transformers reads generation_config
  // (do_sample absent or false: greedy; with do_sample, an absent top_k means 50).
  static SamplingParams from_generation(const data::Json& generation);
};

// Fields of a generation section that would change the text and that Tenon does not follow yet,
// each as "name = value". For a note to the user.
std::vector<std::string> unfollowed_generation_fields(const data::Json& generation);

struct Request {
  std::vector<Segment> prompt;
  SamplingParams sampling;
};

enum class FinishReason {
  Stop,        // an end-of-sequence or stop id
  Length,      // max_new_tokens, or the sequence is full
  StopString,  // a stop string
  Cancelled,
};
std::string_view finish_reason_name(FinishReason reason);  // "stop", "length", "stop_string", ...

// Wall-clock seconds.
struct Timings {
  double queued = 0;       // from submit until its first step began
  double first_token = 0;  // from submit until the first token was drawn
  double total = 0;        // from submit until the end
};

struct Result {
  std::vector<int32_t> ids;     // every token drawn, the one that stopped it included
  std::vector<float> logprobs;  // one an id: log probability before penalties and temperature
  std::string text;             // without stop id and stop string; empty without a tokenizer
  FinishReason finish_reason = FinishReason::Length;
  int64_t prompt_tokens = 0;
  int64_t reused_tokens = 0;  // of the prompt: keys and values were in the cache already
  Timings timings;
};

using RequestId = uint64_t;

// What a step brought for one request.
struct Update {
  RequestId id = 0;
  std::optional<int32_t> token;    // drawn in this step
  std::string_view text;           // the new text that is certain; borrowed for the call
  const Result* result = nullptr;  // set in the last update of a request; borrowed for the call
};
// Called inside Engine::step. May call Engine::submit and Engine::cancel, nothing else of it.
using UpdateCallback = std::function<void(const Update&)>;

}  // namespace tenon::llm
