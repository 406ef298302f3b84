#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace tenon::cli {

// What the user asked to continue: text, or token ids where they are not empty.
struct Prompt {
  std::string text;
  std::vector<int32_t> ids;
};

// One prompt a line; a line that starts with { is JSON with "ids", "prompt", "article" or "text".
// Blank lines are skipped. "-" reads standard input. Errors name the line.
std::vector<Prompt> read_prompts(const std::string& path);

// Fills the ids of prompts that are text, after appending `suffix` to it. Throws
// ErrorCode::Unsupported for text where `tokenizer` is null.
void encode_prompts(std::vector<Prompt>& prompts, const text::Tokenizer* tokenizer,
                    const std::string& suffix);

}  // namespace tenon::cli
