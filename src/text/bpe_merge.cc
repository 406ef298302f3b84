#include "text/bpe_merge.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "base/error.h"

namespace tenon::text {
namespace {

// Up to this length a scan for the lowest rank beats the bucket queue.
constexpr size_t kShort = 48;

std::vector<int32_t> counted(size_t size) {
  std::vector<int32_t> numbers(size);
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

}  // namespace

MergeTable::MergeTable(std::vector<Rule> rules) {
  std::vector<int32_t> ranks = counted(rules.size());
  *this = MergeTable(std::move(rules), ranks);
}

MergeTable::MergeTable(std::vector<Rule> rules, const std::vector<int32_t>& ranks)
    : rules_(std::move(rules)) {
  TENON_CHECK(rules_.size() == ranks.size());
  table_.resize(std::bit_ceil(rules_.size() * 2 + 2));
  for (size_t i = 0; i < rules_.size(); ++i) {
    const Rule& rule = rules_[i];
    table_[bucket_of(rule.left, rule.right)] = {rule.left, rule.right, {ranks[i], rule.merged}};
    ranks_ = std::max(ranks_, ranks[i] + 1);
  }
}

size_t MergeTable::bucket_of(int32_t left, int32_t right) const {
  uint64_t key =
      static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  size_t mask = table_.size() - 1;
  key *= 0x9E3779B97F4A7C15ull;
  size_t bucket = (key ^ key >> 32) & mask;
  for (;; bucket = (bucket + 1) & mask) {
    const Entry& entry = table_[bucket];
    if (entry.merge.rank < 0 || (entry.left == left && entry.right == right)) return bucket;
  }
}

MergeTable::Merge MergeTable::find(int32_t left, int32_t right) const {
  return table_.empty() ? Merge() : table_[bucket_of(left, right)].merge;
}

void Merger::merge(std::vector<int32_t>& slots) {
  if (slots.size() < 2) return;
  if (slots.size() <= kShort) {
    merge_short(slots);
  } else {
    merge_long(slots);
  }
}

void Merger::merge_short(std::vector<int32_t>& slots) {
  // Pairs without a merge come last.
  auto order = [](const MergeTable::Merge& merge) { return static_cast<uint32_t>(merge.rank); };
  auto offer_at = [&](size_t place) { return table_.find(slots[place], slots[place + 1]); };
  offers_.resize(slots.size() - 1);
  for (size_t i = 0; i < offers_.size(); ++i) offers_[i] = offer_at(i);
  while (!offers_.empty()) {
    size_t place = std::ranges::min_element(offers_, {}, order) - offers_.begin();
    if (offers_[place].rank < 0) return;
    slots[place] = offers_[place].merged;
    slots.erase(slots.begin() + place + 1);
    offers_.erase(offers_.begin() + place);
    if (place < offers_.size()) offers_[place] = offer_at(place);
    if (place > 0) offers_[place - 1] = offer_at(place - 1);
  }
}

void Merger::link(const std::vector<int32_t>& slots) {
  symbols_.resize(slots.size());
  for (size_t i = 0; i < slots.size(); ++i) {
    auto place = static_cast<int32_t>(i);
    symbols_[i] = {slots[i], place - 1, place + 1};
  }
  symbols_.back().next = -1;
}

// Notes the rule, if any, for the symbol at `place` and the one after it.
void Merger::offer(int32_t place) {
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

int32_t Merger::take(Bucket& bucket) {
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

void Merger::apply(int32_t rank, int32_t place) {
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

void Merger::merge_long(std::vector<int32_t>& slots) {
  link(slots);
  // Only what the last piece touched is cleared: there may be far more ranks than symbols.
  bucket_of_rank_.resize(table_.ranks(), -1);
  for (int32_t rank : ranks_seen_) bucket_of_rank_[rank] = -1;
  ranks_seen_.clear();
  buckets_.clear();
  for (size_t i = 0; i + 1 < slots.size(); ++i) offer(static_cast<int32_t>(i));
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
  slots.clear();
  for (const Symbol& symbol : symbols_) {
    if (symbol.slot >= 0) slots.push_back(symbol.slot);
  }
}

}  // namespace tenon::text
