#include "cli/sampling_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>

namespace tenon::cli {

void declare_sampling(CLI::App& app, SamplingOptions& options) {
  app.add_option("--max-new-tokens", options.max_new_tokens, "else the plan's, or 256");
  app.add_option("--temperature", options.temperature, "0: greedy");
  app.add_option("--top-k", options.top_k, "draw among the k likeliest tokens; 0: all");
  app.add_option("--top-p", options.top_p, "draw among the likeliest that hold this share");
  app.add_option("--repetition-penalty", options.repetition_penalty, "1: off");
  app.add_option("--seed", options.seed, "the same seed draws the same tokens");
  app.add_option("--stop", options.stop_strings, "end before this text; may be given again")
      ->allow_extra_args(false);
  app.add_option("--stop-id", options.stop_ids, "end at this token; may be given again")
      ->allow_extra_args(false);
  app.add_flag("--ignore-eos", options.ignore_eos, "go on after the end-of-sequence token");
  app.add_flag("--greedy", options.greedy, "the likeliest token each time")
      ->excludes("--temperature")
      ->excludes("--top-k")
      ->excludes("--top-p");
}

llm::SamplingParams merge_sampling(const llm::SamplingParams& defaults,
                                   const SamplingOptions& options, int64_t room) {
  llm::SamplingParams merged = defaults;
  if (options.greedy) {
    merged.temperature = 0;
    merged.top_k = 0;
    merged.top_p = 1;
  }
  merged.temperature = options.temperature.value_or(merged.temperature);
  merged.top_k = options.top_k.value_or(merged.top_k);
  merged.top_p = options.top_p.value_or(merged.top_p);
  merged.repetition_penalty = options.repetition_penalty.value_or(merged.repetition_penalty);
  merged.seed = options.seed.value_or(merged.seed);
  if (options.max_new_tokens) {
    merged.max_new_tokens = *options.max_new_tokens;
  } else {
    int64_t wanted = merged.max_new_tokens > 0 ? merged.max_new_tokens : kDefaultNewTokens;
    merged.max_new_tokens = std::min(wanted, std::max<int64_t>(room, 1));
  }
  merged.stop_ids.insert(merged.stop_ids.end(), options.stop_ids.begin(), options.stop_ids.end());
  merged.stop_strings.insert(merged.stop_strings.end(), options.stop_strings.begin(),
                             options.stop_strings.end());
  merged.ignore_eos = merged.ignore_eos || options.ignore_eos;
  return merged;
}

data::Json to_json(const llm::SamplingParams& sampling) {
  data::Json json = data::Json::object();
  json.set("temperature", sampling.temperature).set("top_k", sampling.top_k);
  json.set("top_p", sampling.top_p).set("repetition_penalty", sampling.repetition_penalty);
  json.set("seed", sampling.seed).set("ignore_eos", sampling.ignore_eos);
  data::Json ids = data::Json::array(), strings = data::Json::array();
  for (int32_t id : sampling.stop_ids) ids.push_back(id);
  for (const std::string& stop : sampling.stop_strings) strings.push_back(stop);
  json.set("stop_ids", std::move(ids)).set("stop_strings", std::move(strings));
  return json;
}

}  // namespace tenon::cli
