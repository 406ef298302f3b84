#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/progress.h"
#include "pipelines/llm/engine.h"
#include "prove/text_data.h"

namespace tenon::prove {

// The summarize protocol of TensorRT-LLM's examples (examples/gpt/summarize.py): article and
// " TL;DR: ", stripped, " n't" joined; of its tokens the last 923; 100 new ones, greedy.
struct SummarizeOptions {
  // Last tokens of the prompt that are kept. 0: 923, or as many as the plan has room for.
  int64_t prompt_tokens = 0;
  // First tokens that are kept before that, as the script's Hugging Face branch does (1024); 0:
  // all.
  int64_t first_tokens = 0;
  int64_t new_tokens = 100;
};

struct SummaryRun {
  std::vector<std::string> texts;  // one an article
  std::vector<int64_t> new_tokens;
  int64_t prompt_tokens = 0;       // of all
  int64_t most_prompt_tokens = 0;  // the limit that was used
  int64_t cut_prompts = 0;         // prompts that lost tokens to it
  double seconds = 0;              // wall time of all generation
};

std::string summary_prompt(std::string_view article);

// As many articles at once as the engine's batch holds; with a batch of 1, one after another, as
// the protocol has it. Throws ErrorCode::Usage where prompt and new tokens do not fit.
SummaryRun summarize(llm::Engine& engine, const std::vector<Article>& articles,
                     const SummarizeOptions& options, Progress& progress);

}  // namespace tenon::prove
