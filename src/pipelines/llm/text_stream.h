#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/incremental_decoder.h"

namespace tenon::llm {

// Finds stop strings in text that arrives in pieces. Text that could begin a stop string is held
// back until it is certain; where several stop strings occur, the one complete first counts, so
// that the result does not depend on where pieces end.
class StopMatcher {
 public:
  explicit StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  // The text that became certain. After a match: what stood before the stop string, then nothing.
  std::string push(std::string_view text);
  // What was held back; empty after a match.
  std::string finish();
  bool matched() const { return matched_; }

 private:
  size_t held_back() const;
  std::vector<std::string> stops_;
  std::string pending_;
  bool matched_ = false;
};

// The text of one request, token by token. Without a tokenizer it stays empty.
class TextStream {
 public:
  TextStream(std::shared_ptr<const text::Tokenizer> tokenizer, std::vector<std::string> stops);

  std::string push(int32_t id);
  std::string finish();
  bool stopped() const { return matcher_.matched(); }

 private:
  std::optional<text::IncrementalDecoder> decoder_;
  StopMatcher matcher_;
};

}  // namespace tenon::llm
