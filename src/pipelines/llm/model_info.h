#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "plan/plan.h"
#include "text/tokenizer.h"

namespace tenon::llm {

// What a plan says about its language model.
struct ModelInfo {
  int64_t vocabulary = 0, hidden = 0, layers = 0, heads = 0, kv_heads = 0, head_dim = 0;
  int64_t context = 0;         // positions the model was made for
  int64_t max_batch_size = 0;  // the plan was built and checked for up to these
  int64_t max_seq_len = 0;
  int64_t bos = -1;  // -1: none
  std::vector<int32_t> eos;
};

// Throws one ErrorCode::BadInput listing every field that is missing or wrong.
ModelInfo read_model_info(const plan::Plan& plan);

// nullptr where the plan carries none.
std::shared_ptr<const text::Tokenizer> make_tokenizer(const plan::Plan& plan);

}  // namespace tenon::llm
