#include "text/merge_queue.h"

#include <algorithm>

namespace tenon::text {

void MergeQueue::link(std::span<const int32_t> symbols) {
  symbols_.resize(symbols.size());
  for (size_t i = 0; i < symbols.size(); ++i) {
    auto place = static_cast<int32_t>(i);
    symbols_[i] = {symbols[i], place - 1, place + 1};
  }
  symbols_.back().next = -1;
}

// Notes the rule, if any, for the symbol at `place` and the one after it.
void MergeQueue::offer(int32_t place) {
  const Symbol& symbol = symbols_[place];
  int32_t rank = table_.find(symbol.slot, symbols_[symbol.next].slot).rank;
  if (rank < 0) return;
  int32_t& index = bucket_of_rank_[rank];
  if (index < 0) {
    index = static_cast<int32_t>(buckets_.size());
    buckets_.emplace_back();
    ranks_seen_.push_back(rank);
  }
  Bucket& bucket = buckets_[index];
  if (bucket.open) {
    bucket.late.push_back(place);
    std::push_heap(bucket.late.begin(), bucket.late.end(), std::greater<>());
  } else {
    bucket.run.push_back(place);
  }
  if (!bucket.queued) ranks_waiting_.push(rank);
  bucket.queued = true;
}

int32_t MergeQueue::take(Bucket& bucket) {
  if (!bucket.open) {
    bucket.open = true;
    if (!std::is_sorted(bucket.run.begin(), bucket.run.end()))
      std::sort(bucket.run.begin(), bucket.run.end());
  }
  bool from_run = bucket.taken < bucket.run.size() &&
                  (bucket.late.empty() || bucket.run[bucket.taken] <= bucket.late.front());
  if (from_run) {
    // The places of a bucket lie far apart in a long piece, and each is a cache miss.
    constexpr size_t kAhead = 12;
    if (bucket.taken + kAhead < bucket.run.size()) {
      __builtin_prefetch(&symbols_[bucket.run[bucket.taken + kAhead]]);
    }
    return bucket.run[bucket.taken++];
  }
  std::pop_heap(bucket.late.begin(), bucket.late.end(), std::greater<>());
  int32_t place = bucket.late.back();
  bucket.late.pop_back();
  return place;
}

void MergeQueue::apply(int32_t rank, int32_t place) {
  Symbol& left = symbols_[place];
  if (left.next < 0) return;
  Symbol& right = symbols_[left.next];
  // The pair that stood here may be gone: one of its sides was merged with another neighbour.
  MergeTable::Merge merge = table_.find(left.slot, right.slot);
  if (merge.rank != rank) return;
  left.slot = merge.merged;
  left.next = right.next;
  right.slot = -1;
  right.next = -1;
  if (left.previous >= 0) offer(left.previous);
  if (left.next < 0) return;
  symbols_[left.next].previous = place;
  offer(place);
}

void MergeQueue::merge(std::span<const int32_t> symbols, int32_t begin,
                       std::vector<MergedToken>& out) {
  if (symbols.empty()) return;
  link(symbols);
  // Only what the last call touched is cleared: there may be far more ranks than symbols.
  bucket_of_rank_.resize(table_.ranks(), -1);
  for (int32_t rank : ranks_seen_) bucket_of_rank_[rank] = -1;
  ranks_seen_.clear();
  buckets_.clear();
  for (size_t i = 0; i + 1 < symbols.size(); ++i) offer(static_cast<int32_t>(i));
  while (!ranks_waiting_.empty()) {
    int32_t rank = ranks_waiting_.top();
    Bucket& bucket = buckets_[bucket_of_rank_[rank]];
    if (bucket.empty()) {
      ranks_waiting_.pop();
      bucket = Bucket();
      continue;
    }
    int32_t place = take(bucket);  // apply() may move the buckets
    apply(rank, place);
  }
  for (size_t i = 0; i < symbols_.size(); ++i) {
    if (symbols_[i].slot >= 0) out.push_back({symbols_[i].slot, begin + static_cast<int32_t>(i)});
  }
}

}  // namespace tenon::text
