#pragma once

#include <string>
#include <vector>

#include "base/progress.h"
#include "data/json.h"
#include "pipelines/llm/engine.h"
#include "prove/ceilings.h"
#include "prove/quantiles.h"

namespace tenon::prove {

struct BenchOptions {
  std::string plan;
  device::DeviceId device;
  std::vector<int64_t> batches = {1}, prompt_tokens = {32, 128}, new_tokens = {64};
  int64_t repeats = 5, warmups = 1;
  int64_t max_num_tokens = 0;  // of all sequences in one step; 0: the engine's default
};

// One point of the grid: `batch` requests submitted together, greedy, no end of sequence. Random
// ids, the same in every run.
struct BenchRow {
  int64_t batch = 0, prompt_tokens = 0, new_tokens = 0;
  Quantiles first_token = {};           // of a request, from submit
  Quantiles per_token = {};             // between two tokens of a request
  Quantiles total = {};                 // of a request
  double prompt_tokens_per_second = 0;  // of all, until the last first token
  double new_tokens_per_second = 0;     // of all, after it
  double tokens_per_second = 0;         // new ones of all, over the whole time
  // Shares of what the machine could do: prompts against arithmetic, tokens against reading.
  double prompt_share_of_arithmetic = 0, token_share_of_bandwidth = 0;
  // The least time that the step's bytes and arithmetic allow, over the measured time.
  double prompt_share_of_roofline = 0, token_share_of_roofline = 0;
};

struct BenchResult {
  std::string dtype, device, model;
  std::string identity;  // of the plan
  double load_seconds = 0;
  Ceilings ceilings;
  std::vector<BenchRow> rows;
};

// Throws ErrorCode::Usage listing every point that the plan has no room for.
BenchResult bench(const BenchOptions& options, Progress& progress);

data::Json to_json(const BenchResult& result);

}  // namespace tenon::prove
