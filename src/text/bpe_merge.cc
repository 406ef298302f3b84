#include "text/bpe_merge.h"

#include <algorithm>

#include "text/merge_few.h"

namespace tenon::text {

void Merger::merge(std::vector<int32_t>& slots) {
  if (slots.size() < 2) return;
  tokens_.clear();
  if (slots.size() <= kFewSymbols) {
    merge_few(table_, slots, 0, tokens_);
  } else {
    source_.swap(slots);
    merge_in_stretches();
  }
  slots.resize(tokens_.size());
  std::ranges::transform(tokens_, slots.begin(), &MergedToken::slot);
}

void Merger::merge_in_stretches() {
  // What may be done before the whole is merged at once. A vocabulary whose tokens depend on what
  // stands far away would need longer and longer stretches.
  auto budget = static_cast<int64_t>(3 * source_.size());
  done_ = 0;
  while (done_ < source_.size()) {
    if (extend(budget)) continue;
    tokens_.clear();
    return queue_.merge(source_, 0, tokens_);
  }
}

void Merger::merge_stretch(size_t begin, size_t end) {
  auto symbols = std::span<const int32_t>(source_).subspan(begin, end - begin);
  auto place = static_cast<int32_t>(begin);
  stretch_.clear();
  if (symbols.size() <= kFewSymbols) {
    merge_few(table_, symbols, place, stretch_);
  } else {
    queue_.merge(symbols, place, stretch_);
  }
}

// Whether stretch_, which ends at `end`, begins with the token that stands there already.
bool Merger::begins_with_token(size_t index, size_t end) const {
  auto end_of_first = [](const Tokens& tokens, size_t first, size_t otherwise) {
    return first + 1 < tokens.size() ? static_cast<size_t>(tokens[first + 1].begin) : otherwise;
  };
  return stretch_[0] == tokens_[index] &&
         end_of_first(stretch_, 0, end) == end_of_first(tokens_, index, done_);
}

// Merges the next symbols and the last tokens; false where the budget does not suffice.
bool Merger::extend(int64_t& budget) {
  // The last token may only be one because the stretch ended there: there are always two.
  constexpr size_t kReach = 16, kLeastTokens = 2;
  size_t kept = tokens_.size() - std::min(tokens_.size(), kLeastTokens), end = 0;
  for (size_t reach = kReach;; reach *= 2) {
    while (kept > 0 && done_ - tokens_[kept].begin < reach) --kept;
    size_t from = tokens_.empty() ? 0 : tokens_[kept].begin;
    if (end == 0) end = std::min(std::max(from + kFewSymbols, 2 * done_ - from), source_.size());
    budget -= static_cast<int64_t>(end - from);
    if (budget < 0) return false;
    merge_stretch(from, end);
    if (kept == 0 || begins_with_token(kept, end)) break;
  }
  tokens_.resize(kept);
  tokens_.insert(tokens_.end(), stretch_.begin(), stretch_.end());
  done_ = end;
  return true;
}

}  // namespace tenon::text
