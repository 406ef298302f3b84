#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/component_json.h"
#include "text/pieces.h"
#include "text/regex.h"
#include "text/split_scanner.h"

namespace tenon::text {

// What Split and Replace look for: {"String": "..."} or {"Regex": "..."}.
class Pattern {
 public:
  // Throws with the component's place.
  static Pattern from_json(const Component& component);
  static Pattern literal(std::string text);
  static Pattern regex(const std::string& pattern);

  // Appends spans that cover all of `text`, which must be valid UTF-8.
  void find(std::string_view text, std::vector<Span>& spans) const;
  // The whole text with every match replaced. Throws ErrorCode::BadInput where that takes more than
  // `most` bytes.
  std::string replaced(std::string_view text, std::string_view content,
                       size_t most = size_t{1} << 30) const;
  // Whether a match can never cross from one character to the next.
  bool is_single_char() const;

 private:
  Pattern() = default;
  void find_literal(std::string_view text, std::vector<Span>& spans) const;

  std::string literal_;
  std::optional<SplitScanner> scanner_;
  std::optional<Regex> regex_;
};

}  // namespace tenon::text
