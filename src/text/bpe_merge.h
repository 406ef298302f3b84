#pragma once

#include <span>
#include <vector>

#include "text/merge_queue.h"
#include "text/merge_table.h"

namespace tenon::text {

// Applies merges to the symbols of one piece: always the lowest rank, then the leftmost place.
// O(n log n) at worst, and near to n for what texts hold; keeps its memory from call to call.
//
// Many symbols are merged in stretches that overlap. That is exact: as long as no merge crosses
// either end of a stretch, what happens inside it does not depend on what is around. So tokens are
// the result for the whole just if each two neighbours, merged alone, stay those two. Within a
// stretch they do; and where a stretch begins with the token that was there before, that token and
// the one before it did so in the stretch that gave both. Where it does not, it begins farther
// back.
class Merger {
 public:
  explicit Merger(const MergeTable& table) : table_(table), queue_(table) {}
  void merge(std::vector<int32_t>& slots);

 private:
  using Tokens = std::vector<MergedToken>;

  void merge_stretch(size_t begin, size_t end);
  void merge_in_stretches();
  bool extend(int64_t& budget);
  bool begins_with_token(size_t index, size_t end) const;

  const MergeTable& table_;
  MergeQueue queue_;
  std::vector<int32_t> source_;  // the symbols
  Tokens tokens_;                // of source_[0, done_)
  Tokens stretch_;
  size_t done_ = 0;
};

}  // namespace tenon::text
