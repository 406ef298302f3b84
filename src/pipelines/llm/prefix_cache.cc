#include "pipelines/llm/prefix_cache.h"

#include <algorithm>

namespace tenon::llm {
namespace {

int64_t shared_tokens(std::span<const int32_t> left, std::span<const int32_t> right) {
  auto [end, ignored] = std::ranges::mismatch(left, right);
  return end - left.begin();
}

}  // namespace

PrefixCache::Reuse PrefixCache::take(std::span<const int32_t> tokens) {
  // The logits after the last token are wanted, so that it is computed in any case.
  if (tokens.empty()) return {};
  std::span<const int32_t> wanted = tokens.first(tokens.size() - 1);
  auto best = entries_.end();
  int64_t most = 0;
  for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
    int64_t shared = shared_tokens(entry->tokens, wanted);
    // Of equals the one with less to lose.
    bool better = shared > most ||
                  (shared == most && shared > 0 && entry->tokens.size() < best->tokens.size());
    if (better) {
      best = entry;
      most = shared;
    }
  }
  if (best == entries_.end()) return {};
  bool full = static_cast<int64_t>(entries_.size()) >= most_entries_;
  if (!full && 2 * most < static_cast<int64_t>(best->tokens.size())) return {};
  Reuse reuse{std::move(best->blocks), most};
  entries_.erase(best);
  return reuse;
}

void PrefixCache::keep(std::span<const int32_t> tokens, Blocks blocks) {
  auto first_embedding = std::ranges::find_if(tokens, [](int32_t token) { return token < 0; });
  std::vector<int32_t> ids(tokens.begin(), first_embedding);
  if (most_entries_ == 0 || ids.empty()) return;
  blocks.keep_first(allocator_.blocks_for(static_cast<int64_t>(ids.size())));
  entries_.push_back({std::move(ids), std::move(blocks)});
  if (static_cast<int64_t>(entries_.size()) > most_entries_) evict();
}

bool PrefixCache::evict() {
  if (entries_.empty()) return false;
  entries_.pop_front();
  return true;
}

int64_t PrefixCache::blocks() const {
  int64_t count = 0;
  for (const Entry& entry : entries_) count += static_cast<int64_t>(entry.blocks.ids().size());
  return count;
}

}  // namespace tenon::llm
