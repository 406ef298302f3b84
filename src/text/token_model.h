#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "data/json.h"
#include "text/vocabulary.h"

namespace tenon::text {

// The part of a tokenizer that spells a piece as tokens of its vocabulary. One file a kind.
class TokenModel {
 public:
  // Working memory for the pieces of one text; used by one thread.
  class Run {
   public:
    virtual ~Run() = default;
    virtual void encode(std::string_view piece, std::vector<int32_t>& ids) = 0;  // appends
  };

  virtual ~TokenModel() = default;
  virtual const Vocabulary& vocabulary() const = 0;
  // `text_bytes` sizes caches; it is no limit.
  virtual std::unique_ptr<Run> make_run(size_t text_bytes) const = 0;
  // What make_token_model() reads back, in a canonical form.
  virtual data::Json to_json() const = 0;
};

// Adds to `problems` and may return null.
std::unique_ptr<const TokenModel> make_token_model(const Component& component,
                                                   ProblemList& problems);

}  // namespace tenon::text
