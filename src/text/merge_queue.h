#pragma once

#include <functional>
#include <queue>
#include <span>

#include "text/merge_table.h"

namespace tenon::text {

// A result of merges: a slot, and where the first of its symbols stood.
struct MergedToken {
  int32_t slot, begin;
  bool operator==(const MergedToken&) const = default;
};

// Applies merges to any number of symbols: always the lowest rank, then the leftmost place.
// O(n log n) at worst; keeps its memory from call to call.
class MergeQueue {
 public:
  explicit MergeQueue(const MergeTable& table) : table_(table) {}
  // Appends the tokens of `symbols`, the first of which stands at `begin`.
  void merge(std::span<const int32_t> symbols, int32_t begin, std::vector<MergedToken>& out);

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

  void link(std::span<const int32_t> symbols);
  void offer(int32_t place);
  int32_t take(Bucket& bucket);
  void apply(int32_t rank, int32_t place);

  const MergeTable& table_;
  std::vector<Symbol> symbols_;
  std::vector<int32_t> bucket_of_rank_;  // or -1
  std::vector<int32_t> ranks_seen_;      // in these symbols
  std::vector<Bucket> buckets_;
  std::priority_queue<int32_t, std::vector<int32_t>, std::greater<>> ranks_waiting_;
};

}  // namespace tenon::text
