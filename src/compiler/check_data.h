#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compiler/import_model.h"
#include "tensor/tensor.h"

namespace tenon::compiler {

// The token sequences a gate runs, and what the original implementation answered where that is
// known.
struct CheckData {
  std::string origin;  // "built-in prompts", the file's name
  std::vector<int32_t> ids;
  std::vector<int32_t> seq_offsets;      // [seqs + 1]
  std::vector<int32_t> logit_rows;       // rows whose logits are compared
  std::optional<Tensor> logits;          // f32 [rows, vocabulary]: golden
  std::vector<std::string> layer_names;  // golden intermediate tensors, in file order
  std::vector<Tensor> layers;            // f32, [tokens, ...]
  std::string origin_versions;           // golden: what computed it
};

// The plan's own check prompts: a few sentences through the tokenizer, or fixed pseudo-random ids
// where there is none. The same model gives the same data.
CheckData built_in_check_data(const ImportedModel& model, int64_t max_seq_len);
// The same for a plan, of which there may be no checkpoint any more. `tokenizer` may be null.
CheckData built_in_check_data(const text::Tokenizer* tokenizer, int64_t vocabulary,
                              int64_t max_seq_len);
// Fixed pseudo-random ids below `vocabulary`.
std::vector<int32_t> random_ids(size_t count, int64_t vocabulary, uint64_t seed);
// A text file: one prompt a line, or JSONL with "prompt", "article" or "ids".
CheckData read_check_file(const std::string& path, const ImportedModel& model, int64_t max_seq_len);
// The text that a model's folder brings to judge rounded weights by, tenon_check.txt (of the form
// above), or "": weights of few bits keep what a model was trained on far better than other text.
std::string own_check_file(const std::string& folder);
// A golden file (docs/formats: tests/golden/README.md).
CheckData read_golden_file(const std::string& path, const ImportedModel& model);

}  // namespace tenon::compiler
