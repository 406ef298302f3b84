#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/progress.h"
#include "data/json.h"
#include "pipelines/llm/engine.h"

namespace tenon::prove {

// Figures of different conventions are not comparable with each other.
enum class PerplexityConvention {
  // The GPTQ, AWQ and SmoothQuant papers: one text, tokenised once, in windows that do not overlap;
  // the rest is dropped, the first token of a window is not counted.
  Gptq,
  // lm-evaluation-harness, rolling log-likelihood: each page alone after a prefix token, all tokens
  // counted, the last window reaching back; over words and bytes of the page as it was written.
  LmEval,
  // Each text alone from its second token on, over tokens.
  Document,
};
std::string_view convention_name(PerplexityConvention convention);  // "gptq", "lm-eval", "document"

// Logits at every position of `ids`, in pieces: what Engine::forced_logits does.
using ForcedLogits =
    std::function<void(std::span<const int32_t> ids, const llm::LogitsCallback& callback)>;

struct PerplexityText {
  std::vector<int32_t> ids = {};
  int64_t words = 0, bytes = 0;  // of the page; only lm-eval reads them
};

struct PerplexityTask {
  PerplexityConvention convention = PerplexityConvention::Gptq;
  std::vector<PerplexityText> texts;  // gptq: one
  int64_t window = 2048;              // positions of one pass; lm-eval: the model's context
  int32_t prefix = 0;                 // lm-eval only
  int64_t most_windows = 0;           // 0: all; else the first ones only
};

struct PerplexityEval {
  int64_t windows = 0, tokens = 0;  // tokens that were predicted
  int64_t dropped = 0;              // gptq: tokens after the last whole window
  int64_t words = 0, bytes = 0;
  double negative_log_likelihood = 0;                                  // nats, of all
  double perplexity = 0;                                               // over tokens
  double word_perplexity = 0, byte_perplexity = 0, bits_per_byte = 0;  // lm-eval only
};

// Throws ErrorCode::BadInput where there is not one whole window, or nothing to predict.
PerplexityEval evaluate_perplexity(const PerplexityTask& task, const ForcedLogits& forced,
                                   Progress& progress);

data::Json to_json(const PerplexityTask& task, const PerplexityEval& eval);

}  // namespace tenon::prove
