#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "pipelines/llm/block_allocator.h"
#include "pipelines/llm/prefix_cache.h"
#include "pipelines/llm/sequence.h"

namespace tenon::llm {

// The next `tokens` tokens of a sequence, to be computed in one step.
struct Slice {
  Sequence* sequence = nullptr;
  int64_t tokens = 0;
  // Whether a token is drawn: the slice reaches the sequence's end.
  bool draws() const { return tokens == sequence->pending(); }
};

struct SchedulerLimits {
  int64_t max_batch_size = 0;
  int64_t max_seq_len = 0;
  int64_t max_num_tokens = 0;  // at least max_batch_size, so that every sequence can advance
};

// Continuous batching, first come first served. A request is admitted when a place in the batch and
// the blocks for all it can ever need are free, so a running sequence never has to be stopped for
// lack of memory, and what it computes does not depend on its neighbours.
class Scheduler {
 public:
  // `prefixes` may be null; both must outlive this.
  Scheduler(BlockAllocator& allocator, const SchedulerLimits& limits,
            PrefixCache* prefixes = nullptr)
      : allocator_(allocator), limits_(limits), prefixes_(prefixes) {}

  // Throws ErrorCode::Usage with need and have where such a request can never run.
  // Returns the number of tokens it may reach; max_new_tokens 0 means what fits.
  int64_t most_tokens(int64_t prompt_tokens, int64_t max_new_tokens) const;
  void enqueue(std::unique_ptr<Sequence> sequence);
  Sequence* find(RequestId id);

  // Admits what fits, then gives every running sequence that has one token left to compute that
  // token, and shares what remains of max_num_tokens among the prompts in order.
  std::vector<Slice> schedule();
  // Takes out every sequence that has ended, waiting ones too.
  std::vector<std::unique_ptr<Sequence>> take_ended();
  template <class Visit>
  void for_each(Visit&& visit) {
    for (auto& sequence : running_) visit(*sequence);
    for (auto& sequence : waiting_) visit(*sequence);
  }

  int64_t waiting() const { return static_cast<int64_t>(waiting_.size()); }
  int64_t running() const { return static_cast<int64_t>(running_.size()); }

 private:
  void admit();
  // Blocks for all positions that the sequence can reach, with what is cached of its prompt; false
  // where they are not free.
  bool give_blocks(Sequence& sequence);
  BlockAllocator& allocator_;
  SchedulerLimits limits_;
  PrefixCache* prefixes_;
  std::deque<std::unique_ptr<Sequence>> waiting_;
  std::vector<std::unique_ptr<Sequence>> running_;
};

}  // namespace tenon::llm
