#include "pipelines/llm/text_stream.h"

#include <algorithm>
#include <utility>

namespace tenon::llm {

// The length of the longest end of the pending text that begins a stop string.
size_t StopMatcher::held_back() const {
  size_t longest = 0;
  for (const std::string& stop : stops_) {
    size_t length = std::min(pending_.size(), stop.size() - 1);
    while (length > longest && !pending_.ends_with(std::string_view(stop).substr(0, length))) {
      --length;
    }
    longest = std::max(longest, length);
  }
  return longest;
}

std::string StopMatcher::push(std::string_view text) {
  if (matched_) return "";
  pending_ += text;
  size_t first_end = std::string::npos, start = std::string::npos;
  for (const std::string& stop : stops_) {
    size_t found = pending_.find(stop);
    if (found == std::string::npos) continue;
    size_t end = found + stop.size();
    if (first_end == std::string::npos || end < first_end || (end == first_end && found < start)) {
      first_end = end;
      start = found;
    }
  }
  matched_ = start != std::string::npos;
  size_t certain = matched_ ? start : pending_.size() - held_back();
  std::string out = pending_.substr(0, certain);
  pending_.erase(0, matched_ ? pending_.size() : certain);
  return out;
}

std::string StopMatcher::finish() {
  return std::exchange(pending_, std::string());
}

TextStream::TextStream(std::shared_ptr<const text::Tokenizer> tokenizer,
                       std::vector<std::string> stops)
    : matcher_(std::move(stops)) {
  if (tokenizer) decoder_.emplace(std::move(tokenizer));
}

std::string TextStream::push(int32_t id) {
  return decoder_ ? matcher_.push(decoder_->push(id)) : std::string();
}

std::string TextStream::finish() {
  if (!decoder_) return "";
  std::string text = matcher_.push(decoder_->finish());
  return text + matcher_.finish();
}

}  // namespace tenon::llm
