#pragma once

#include <cstdint>
#include <list>
#include <span>
#include <vector>

#include "pipelines/llm/block_allocator.h"

namespace tenon::llm {

// Keys and values of ended sequences, kept for a request that begins as they did: the next turn of
// a chat. An entry belongs to one user at a time: taking it removes it. Its blocks count as free
// when they are needed elsewhere.
class PrefixCache {
 public:
  // At most `most_entries` sequences; 0: nothing is kept. `allocator` must outlive this.
  PrefixCache(BlockAllocator& allocator, int64_t most_entries)
      : allocator_(allocator), most_entries_(most_entries) {}

  struct Reuse {
    Blocks blocks;
    int64_t positions = 0;  // of them the keys and values are in `blocks`
  };
  // The entry that shares the longest beginning with `tokens`, whose last token is left to be
  // computed. Nothing where none shares a token, or taking it would cost its conversation more
  // than this one gains while there is room for both.
  Reuse take(std::span<const int32_t> tokens);
  // `tokens`: those whose keys and values are in `blocks`, in order. Embeddings (negative) end what
  // can be compared. The entry used least recently goes where there are too many.
  void keep(std::span<const int32_t> tokens, Blocks blocks);
  // Gives back the blocks of the entry used least recently. False where there is none.
  bool evict();

  int64_t blocks() const;

 private:
  struct Entry {
    std::vector<int32_t> tokens;
    Blocks blocks;
  };
  BlockAllocator& allocator_;
  int64_t most_entries_;
  std::list<Entry> entries_;  // the least recently used first
};

}  // namespace tenon::llm
