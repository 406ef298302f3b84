#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/function_ref.h"

namespace tenon::text {

// Rewrites a pattern of Oniguruma (the engine of Hugging Face tokenizers) for PCRE2: \s, \w and \h
// mean other sets there, and classes inside classes are flattened. Throws ErrorCode::Unsupported
// for what has no equal form.
std::string translate_regex(std::string_view pattern);

// A general regular expression. Matching is bounded, so that a hostile pattern ends in an error.
class Regex {
 public:
  // Throws ErrorCode::BadInput / Unsupported.
  explicit Regex(const std::string& pattern);
  ~Regex();
  Regex(Regex&&) noexcept;

  // Calls found(begin, end) for each match in order. `text` must be valid UTF-8.
  void for_each_match(std::string_view text,
                      FunctionRef<void(size_t begin, size_t end)> found) const;

 private:
  struct Code;
  std::unique_ptr<Code> code_;
};

}  // namespace tenon::text
