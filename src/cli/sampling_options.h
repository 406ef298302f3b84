#pragma once

#include <optional>
#include <string>
#include <vector>

#include "data/json.h"
#include "pipelines/llm/request.h"

namespace CLI {
class App;
}

namespace tenon::cli {

// The sampling flags of `run`: only what was given replaces the plan's defaults.
struct SamplingOptions {
  std::optional<double> temperature, top_p, repetition_penalty;
  std::optional<int64_t> top_k, max_new_tokens;
  std::optional<uint64_t> seed;
  std::vector<int32_t> stop_ids;
  std::vector<std::string> stop_strings;
  bool ignore_eos = false, greedy = false;
};

void declare_sampling(CLI::App& app, SamplingOptions& options);

// New tokens where neither the user nor the plan says how many.
inline constexpr int64_t kDefaultNewTokens = 256;

// The plan's defaults with the options over them; max_new_tokens is cut to `room` where the user
// did not give it.
llm::SamplingParams merge_sampling(const llm::SamplingParams& defaults,
                                   const SamplingOptions& options, int64_t room);

data::Json to_json(const llm::SamplingParams& sampling);

}  // namespace tenon::cli
