#include "pipelines/llm/engine_options.h"

#include <algorithm>
#include <limits>

#include "base/checked.h"
#include "base/error.h"
#include "base/text.h"
#include "pipelines/llm/step_inputs.h"

namespace tenon::llm {
namespace {

void check_range(Problems& problems, std::string_view name, int64_t value, int64_t least,
                 int64_t most) {
  if (value >= least && value <= most) return;
  problems.add(Error(ErrorCode::Usage, "option is out of range")
                   .at(name)
                   .got(std::to_string(value))
                   .accepted(std::to_string(least) + " to " + std::to_string(most)));
}

int64_t blocks_in(int64_t cache_bytes, int64_t block_size, const runtime::StageRunner& decoder) {
  int64_t block = decoder.state_bytes({{"cache_blocks", 1}, {"block_size", block_size}});
  if (block > 0 && cache_bytes >= block) return cache_bytes / block;
  throw Error(ErrorCode::Usage, "the KV cache cannot hold one block")
      .at("cache_bytes")
      .got(format_bytes(cache_bytes))
      .accepted("at least " + format_bytes(block));
}

}  // namespace

int64_t most_of(const plan::Stage& stage, std::string_view symbol, int64_t otherwise) {
  for (const plan::SymbolRange& range : stage.symbols) {
    if (range.name == symbol) return range.most;
  }
  return otherwise;
}

void check_decoder_stage(const plan::Stage& stage) {
  std::vector<std::string> found, wanted(kDecoderInputs.begin(), kDecoderInputs.end());
  for (int32_t input : stage.inputs) {
    const auto& names = stage.values[input].names;
    found.push_back(names.empty() ? "?" : names[0]);
  }
  if (found == wanted && stage.outputs.size() == 1) return;
  throw Error(ErrorCode::WrongPlan, "the stage is no ragged language graph")
      .at(stage.name)
      .got("inputs " + join(found, ", "))
      .accepted("inputs " + join(wanted, ", ") + " and the output logits");
}

EngineOptions resolve_options(EngineOptions options, const ModelInfo& model,
                              const runtime::StageRunner& decoder) {
  const plan::Stage& stage = decoder.stage();
  if (options.max_batch_size == 0) options.max_batch_size = model.max_batch_size;
  if (options.max_seq_len == 0) options.max_seq_len = model.max_seq_len;
  if (options.block_size == 0) options.block_size = options.max_seq_len;
  Problems problems;
  check_range(problems, "max_batch_size", options.max_batch_size, 1, model.max_batch_size);
  check_range(problems, "max_seq_len", options.max_seq_len, 2, model.max_seq_len);
  check_range(problems, "block_size", options.block_size, 1,
              most_of(stage, "block_size", kLimits.positions));
  check_range(problems, "cache_bytes", options.cache_bytes, 0, INT64_MAX);
  check_range(problems, "cache_blocks", options.cache_blocks, 0, INT32_MAX);
  check_range(problems, "max_num_tokens", options.max_num_tokens, 1, kLimits.positions);
  check_range(problems, "kept_prefixes", options.kept_prefixes, 0, INT32_MAX);
  if (options.cache_bytes > 0 && options.cache_blocks > 0) {
    problems.add(Error(ErrorCode::Usage, "give cache_bytes or cache_blocks, not both"));
  }
  problems.throw_if_any();

  int64_t full = checked_mul(options.max_batch_size, max_blocks(options), "cache_blocks");
  if (options.cache_bytes > 0) {
    options.cache_blocks = blocks_in(options.cache_bytes, options.block_size, decoder);
  }
  options.cache_blocks = options.cache_blocks > 0 ? std::min(options.cache_blocks, full) : full;
  // Fewer tokens than sequences would leave some of them waiting in every step.
  options.max_num_tokens = std::min(std::max(options.max_num_tokens, options.max_batch_size),
                                    most_of(stage, "tokens", std::numeric_limits<int64_t>::max()));
  if (options.max_num_tokens < options.max_batch_size) {
    throw Error(ErrorCode::WrongPlan, "the plan takes fewer tokens than sequences")
        .at(stage.name)
        .got(std::to_string(options.max_num_tokens))
        .accepted("at least " + std::to_string(options.max_batch_size));
  }
  return options;
}

}  // namespace tenon::llm
