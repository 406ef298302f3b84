#include "pipelines/llm/scheduler.h"

#include <algorithm>

#include "base/checked.h"
#include "base/error.h"

namespace tenon::llm {
namespace {

template <class Container>
void move_ended(Container& from, std::vector<std::unique_ptr<Sequence>>& to) {
  auto first = std::stable_partition(from.begin(), from.end(),
                                     [](const auto& sequence) { return !sequence->ended; });
  std::move(first, from.end(), std::back_inserter(to));
  from.erase(first, from.end());
}

std::string tokens_text(int64_t tokens) {
  return std::to_string(tokens) + (tokens == 1 ? " token" : " tokens");
}

}  // namespace

int64_t Scheduler::most_tokens(int64_t prompt_tokens, int64_t max_new_tokens) const {
  if (prompt_tokens >= limits_.max_seq_len) {
    throw Error(ErrorCode::Usage, "the prompt leaves no room for a new token")
        .got("a prompt of " + tokens_text(prompt_tokens))
        .accepted("at most " + tokens_text(limits_.max_seq_len - 1))
        .fix("shorten the prompt, or use a plan with a larger max_seq_len");
  }
  int64_t room = limits_.max_seq_len - prompt_tokens;
  if (max_new_tokens > room) {
    throw Error(ErrorCode::Usage, "prompt and new tokens do not fit into a sequence")
        .got(tokens_text(prompt_tokens) + " of prompt and max_new_tokens " +
             std::to_string(max_new_tokens))
        .accepted("max_seq_len " + std::to_string(limits_.max_seq_len) + " in all")
        .fix("use max_new_tokens " + std::to_string(room) + " or less, or 0 for what fits");
  }
  int64_t have = allocator_.blocks() * allocator_.block_size();
  int64_t most = max_new_tokens == 0 ? std::min(limits_.max_seq_len, have + 1)
                                     : prompt_tokens + max_new_tokens;
  int64_t need = std::max(most - 1, prompt_tokens);
  if (need > have) {
    throw Error(ErrorCode::Usage, "the request can never fit into the KV cache")
        .got("need of " + tokens_text(need) + ", " + std::to_string(allocator_.blocks_for(need)) +
             " blocks")
        .accepted("at most " + tokens_text(have) + ", " + std::to_string(allocator_.blocks()) +
                  " blocks")
        .fix("give the cache more memory, or ask for fewer new tokens");
  }
  return most;
}

void Scheduler::enqueue(std::unique_ptr<Sequence> sequence) {
  waiting_.push_back(std::move(sequence));
}

Sequence* Scheduler::find(RequestId id) {
  Sequence* found = nullptr;
  for_each([&](Sequence& sequence) {
    if (sequence.id == id) found = &sequence;
  });
  return found;
}

bool Scheduler::give_blocks(Sequence& sequence) {
  int64_t need = allocator_.blocks_for(sequence.most_positions());
  if (need > allocator_.free_blocks() + (prefixes_ ? prefixes_->blocks() : 0)) return false;
  PrefixCache::Reuse reuse;
  if (prefixes_) reuse = prefixes_->take(sequence.tokens);
  reuse.blocks.keep_first(need);
  auto have = static_cast<int64_t>(reuse.blocks.ids().size());
  while (need - have > allocator_.free_blocks()) TENON_CHECK(prefixes_ && prefixes_->evict());
  reuse.blocks.append(allocator_.make_blocks(need - have));
  sequence.blocks = std::move(reuse.blocks);
  sequence.computed = sequence.result.reused_tokens = reuse.positions;
  return true;
}

void Scheduler::admit() {
  while (!waiting_.empty() && running() < limits_.max_batch_size) {
    Sequence& next = *waiting_.front();
    if (!give_blocks(next)) return;
    next.started = Clock::now();
    running_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
}

std::vector<Slice> Scheduler::schedule() {
  admit();
  int64_t left = limits_.max_num_tokens;
  for (const auto& sequence : running_) left -= sequence->pending() == 1;
  std::vector<Slice> slices;
  for (const auto& sequence : running_) {
    int64_t pending = sequence->pending(), tokens = pending == 1 ? 1 : std::min(pending, left);
    if (pending > 1) left -= tokens;
    if (tokens > 0) slices.push_back({sequence.get(), tokens});
  }
  return slices;
}

std::vector<std::unique_ptr<Sequence>> Scheduler::take_ended() {
  std::vector<std::unique_ptr<Sequence>> ended;
  move_ended(running_, ended);
  move_ended(waiting_, ended);
  return ended;
}

}  // namespace tenon::llm
