#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "text/pieces.h"

namespace tenon::text {

// The well-known split patterns, which a scanner by hand follows several times faster than a
// regular expression engine.
struct SplitScanner {
  enum class Family { Gpt2, Cl100k };
  Family family;
  int most_digits;  // Cl100k only: digits in one piece (Llama-3: 3, Qwen2: 1)

  // Appends the matches, which cover the whole text. `text` must be valid UTF-8.
  void scan(std::string_view text, std::vector<Span>& spans) const;
};

// GPT-2's pattern, which the ByteLevel pre-tokenizer applies.
extern const std::string_view kGpt2Pattern;

// The scanner for exactly this pattern, if it is one of the known.
std::optional<SplitScanner> known_scanner(std::string_view pattern);

}  // namespace tenon::text
