#include "compiler/decoder_batch.h"

#include <algorithm>

#include "base/checked.h"
#include "compiler/check_data.h"

namespace tenon::compiler {
namespace {

int64_t blocks_of(const DecoderShape& shape) {
  return ceil_div(shape.context, kTuneBlockSize);
}

}  // namespace

SymbolValues cache_symbols(const DecoderShape& shape) {
  return {{"cache_blocks", shape.seqs * blocks_of(shape)}, {"block_size", kTuneBlockSize}};
}

SymbolValues symbols_of(const DecoderShape& shape) {
  SymbolValues symbols = cache_symbols(shape);
  symbols["tokens"] = shape.seqs * shape.tokens_each;
  symbols["seqs"] = symbols["rows"] = shape.seqs;
  symbols["embed_rows"] = 0;
  symbols["max_blocks"] = blocks_of(shape);
  return symbols;
}

DecoderBatch::DecoderBatch(const DecoderShape& shape, int64_t hidden, int64_t vocabulary)
    : inputs_(hidden, blocks_of(shape)) {
  int64_t first = shape.tokens_each == 1 ? shape.context / 2 : 0;
  for (int64_t seq = 0; seq < shape.seqs; ++seq) {
    std::vector<int32_t> ids = random_ids(static_cast<size_t>(shape.tokens_each), vocabulary,
                                          static_cast<uint64_t>(seq) + 17);
    add(shape, seq, ids, first, llm::StepPart::Rows::Last);
  }
  views_ = inputs_.views();
}

DecoderBatch::DecoderBatch(const DecoderShape& shape, int64_t hidden,
                           std::span<const std::vector<int32_t>> tokens, int64_t first,
                           llm::StepPart::Rows rows)
    : inputs_(hidden, blocks_of(shape)) {
  for (size_t seq = 0; seq < tokens.size(); ++seq) {
    auto have = static_cast<int64_t>(tokens[seq].size());
    int64_t count = std::min(shape.tokens_each, have - first);
    auto part = std::span<const int32_t>(tokens[seq])
                    .subspan(static_cast<size_t>(first), static_cast<size_t>(count));
    add(shape, static_cast<int64_t>(seq), part, first, rows);
  }
  views_ = inputs_.views();
}

void DecoderBatch::add(const DecoderShape& shape, int64_t seq, std::span<const int32_t> tokens,
                       int64_t first, llm::StepPart::Rows rows) {
  std::vector<int32_t> blocks;
  for (int64_t block = 0; block < blocks_of(shape); ++block) {
    blocks.push_back(static_cast<int32_t>(seq * blocks_of(shape) + block));
  }
  inputs_.add({.tokens = tokens,
               .embed_rows = {},
               .first_position = first,
               .blocks = blocks,
               .logits = rows});
}

}  // namespace tenon::compiler
