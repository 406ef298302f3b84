#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

namespace tenon::text {

// The merges of a byte-pair encoding: two neighbouring slots become one. A lower rank goes first.
class MergeTable {
 public:
  struct Rule {
    int32_t left, right, merged;
  };
  struct Merge {
    int32_t rank = -1;  // -1: none
    int32_t merged = -1;
  };

  MergeTable() = default;
  // Rules in order of rank. A pair that comes twice has its last rank.
  explicit MergeTable(std::vector<Rule> rules);
  // With a rank (0 or more) for each rule. Rules may share one: then the place in the text decides.
  MergeTable(std::vector<Rule> rules, const std::vector<int32_t>& ranks);

  Merge find(int32_t left, int32_t right) const;
  const std::vector<Rule>& rules() const { return rules_; }
  int32_t ranks() const { return ranks_; }  // one above the highest

 private:
  // A rank with its pair beside it, so that a lookup touches one place in memory.
  struct Entry {
    int32_t left = 0, right = 0;
    Merge merge;
  };
  size_t bucket_of(int32_t left, int32_t right) const;
  std::vector<Rule> rules_;
  int32_t ranks_ = 0;
  std::vector<Entry> table_;  // open addressing; a power of two
};

// Applies merges to the symbols of one piece: always the lowest rank, then the leftmost place.
// O(n log n) at worst; keeps its memory from call to call.
class Merger {
 public:
  explicit Merger(const MergeTable& table) : table_(table) {}
  void merge(std::vector<int32_t>& slots);

 private:
  // Places where one rule may apply. They mostly come in order and are then taken in order without
  // a heap; those that come while the bucket is being emptied go to `late`, a min-heap.
  struct Bucket {
    std::vector<int32_t> run;
    size_t taken = 0;
    std::vector<int32_t> late;
    bool open = false, queued = false;
    bool empty() const { return taken == run.size() && late.empty(); }
  };

  struct Symbol {
    int32_t slot;            // -1: merged into an earlier one
    int32_t previous, next;  // places, or -1
  };

  void merge_short(std::vector<int32_t>& slots);
  void merge_long(std::vector<int32_t>& slots);
  void link(const std::vector<int32_t>& slots);
  void offer(int32_t place);
  int32_t take(Bucket& bucket);
  void apply(int32_t rank, int32_t place);

  const MergeTable& table_;
  std::vector<MergeTable::Merge> offers_;  // merge_short
  std::vector<Symbol> symbols_;            // merge_long
  std::vector<int32_t> bucket_of_rank_;    // or -1
  std::vector<int32_t> ranks_seen_;        // in this piece
  std::vector<Bucket> buckets_;
  std::priority_queue<int32_t, std::vector<int32_t>, std::greater<>> ranks_waiting_;
};

}  // namespace tenon::text
