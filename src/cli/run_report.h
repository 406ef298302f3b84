#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/prompts.h"
#include "data/json.h"
#include "pipelines/llm/request.h"

namespace tenon::cli {

struct RunReport {
  std::vector<llm::Result> results;
  double load_seconds = 0;  // until the first step
  double seconds = 0;       // of all steps
};

// "12 prompt tokens at 810 /s, 64 new tokens at 95 /s, first token after 15 ms".
std::string speed_line(const RunReport& report);
// Results, one for each prompt, and speed.
data::Json to_json(const RunReport& report, const std::vector<Prompt>& prompts);

// Newlines become \n and backslashes \\: a text in one line that can be read back.
std::string one_line(std::string_view text);

}  // namespace tenon::cli
