#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "text/tokenizer.h"

namespace tenon::text {

// Decodes one sequence token by token. What the calls return, joined, is decode() of all ids, for
// ids that spell valid UTF-8; no call ever returns a part of a character.
class IncrementalDecoder {
 public:
  explicit IncrementalDecoder(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special = true);
  ~IncrementalDecoder();
  IncrementalDecoder(IncrementalDecoder&&) noexcept;
  IncrementalDecoder& operator=(IncrementalDecoder&&) noexcept;

  // The text that became certain with this token; often empty inside a multi-byte character.
  std::string push(int32_t id);
  // The rest: held-back bytes of an unfinished character become U+FFFD. Call once, after the last
  // push.
  std::string finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tenon::text
