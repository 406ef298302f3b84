#pragma once

#include "pipelines/llm/engine.h"
#include "pipelines/llm/model_info.h"
#include "runtime/stage_runner.h"

namespace tenon::llm {

// Fills in what is 0 from the plan, and checks the rest against it. Throws one ErrorCode::Usage
// listing every problem. `decoder` knows the ranges it was built for and the size of the cache.
EngineOptions resolve_options(EngineOptions options, const ModelInfo& model,
                              const runtime::StageRunner& decoder);

// Throws ErrorCode::WrongPlan where the stage's inputs are not those of a ragged language graph.
void check_decoder_stage(const plan::Stage& stage);

// The most that the stage was built for; `otherwise` where it does not limit that symbol.
int64_t most_of(const plan::Stage& stage, std::string_view symbol, int64_t otherwise);

// The block table's width: blocks of the longest sequence.
inline int64_t max_blocks(const EngineOptions& options) {
  return (options.max_seq_len + options.block_size - 1) / options.block_size;
}

}  // namespace tenon::llm
