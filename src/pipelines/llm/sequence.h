#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "pipelines/llm/block_allocator.h"
#include "pipelines/llm/request.h"
#include "pipelines/llm/text_stream.h"

namespace tenon::llm {

// The prompt as one row of positions.
struct Prompt {
  std::vector<Segment> segments;         // keeps the memory of the embeddings
  std::vector<int32_t> tokens;           // -1 - r stands for row r of embed_rows
  std::vector<const float*> embed_rows;  // each [hidden]
};

// Throws one ErrorCode::BadInput listing every wrong segment.
Prompt make_prompt(std::vector<Segment> segments, int64_t vocabulary, int64_t hidden);

using Clock = std::chrono::steady_clock;

// A request on its way.
struct Sequence {
  RequestId id = 0;
  SamplingParams sampling;
  UpdateCallback callback;
  Prompt prompt;
  std::vector<int32_t> tokens;  // the prompt's, then those drawn
  int64_t most_tokens = 0;      // the limit of tokens.size()
  int64_t computed = 0;         // positions whose keys and values are in the cache
  Blocks blocks;                // for all positions it can ever reach
  std::unique_ptr<TextStream> text;
  Result result;
  bool cancelled = false, ended = false;
  Clock::time_point submitted{}, started{};

  int64_t pending() const { return static_cast<int64_t>(tokens.size()) - computed; }
  // The token drawn last is never computed.
  int64_t most_positions() const { return most_tokens - 1; }
  int64_t drawn() const { return static_cast<int64_t>(result.ids.size()); }
};

}  // namespace tenon::llm
