#include "pipelines/llm/scheduler.h"

#include <gmock/gmock.h>

#include "base/error.h"

namespace tenon::llm {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

class SchedulerTest : public testing::Test {
 protected:
  void enqueue(RequestId id, int64_t prompt_tokens, int64_t max_new_tokens) {
    auto sequence = std::make_unique<Sequence>();
    sequence->id = id;
    sequence->tokens.resize(prompt_tokens, 1);
    sequence->most_tokens = scheduler_.most_tokens(prompt_tokens, max_new_tokens);
    scheduler_.enqueue(std::move(sequence));
  }
  // One step of an imagined engine: what it ran, as (id, tokens).
  std::vector<std::pair<RequestId, int64_t>> step() {
    std::vector<std::pair<RequestId, int64_t>> ran;
    for (const Slice& slice : scheduler_.schedule()) {
      Sequence& sequence = *slice.sequence;
      ran.emplace_back(sequence.id, slice.tokens);
      bool draws = slice.draws();
      sequence.computed += slice.tokens;
      if (draws) sequence.tokens.push_back(1);
      if (static_cast<int64_t>(sequence.tokens.size()) == sequence.most_tokens) {
        sequence.ended = true;
      }
    }
    scheduler_.take_ended();
    return ran;
  }
  std::string refusal(int64_t prompt_tokens, int64_t max_new_tokens) {
    try {
      scheduler_.most_tokens(prompt_tokens, max_new_tokens);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::Usage);
      return error.what();
    }
    return "";
  }

  BlockAllocator allocator_{6, 4};
  Scheduler scheduler_{allocator_, {.max_batch_size = 3, .max_seq_len = 32, .max_num_tokens = 6}};
};

TEST_F(SchedulerTest, MixesPiecesOfPromptsWithSingleTokens) {
  enqueue(1, 4, 3);
  enqueue(2, 9, 2);
  EXPECT_THAT(step(), ElementsAre(Pair(1, 4), Pair(2, 2)));
  EXPECT_THAT(step(), ElementsAre(Pair(1, 1), Pair(2, 5)));
  EXPECT_THAT(step(), ElementsAre(Pair(1, 1), Pair(2, 2)));
  EXPECT_THAT(step(), ElementsAre(Pair(2, 1)));
  EXPECT_THAT(step(), IsEmpty());
  EXPECT_EQ(allocator_.free_blocks(), 6);
}

TEST_F(SchedulerTest, AdmitsInOrderWhileBlocksSuffice) {
  enqueue(1, 4, 9);   // 12 positions: 3 blocks
  enqueue(2, 4, 14);  // 17 positions: 5 blocks, must wait for the first
  enqueue(3, 1, 1);   // would fit, but does not overtake
  EXPECT_THAT(step(), ElementsAre(Pair(1, 4)));
  EXPECT_EQ(scheduler_.running(), 1);
  for (int i = 0; i < 8; ++i) EXPECT_THAT(step(), ElementsAre(Pair(1, 1)));
  EXPECT_THAT(step(), ElementsAre(Pair(2, 4), Pair(3, 1)));
}

TEST_F(SchedulerTest, KeepsTheBatchSize) {
  for (RequestId id = 1; id <= 4; ++id) enqueue(id, 1, 2);
  EXPECT_THAT(step(), ElementsAre(Pair(1, 1), Pair(2, 1), Pair(3, 1)));
  EXPECT_THAT(step(), ElementsAre(Pair(1, 1), Pair(2, 1), Pair(3, 1)));
  EXPECT_THAT(step(), ElementsAre(Pair(4, 1)));
}

TEST_F(SchedulerTest, RefusesWhatCanNeverFitWithNeedAndHave) {
  EXPECT_EQ(refusal(20, 5), "");  // 24 positions: all 6 blocks
  EXPECT_THAT(refusal(20, 6),
              AllOf(HasSubstr("25 tokens, 7 blocks"), HasSubstr("24 tokens, 6 blocks")));
  EXPECT_THAT(refusal(20, 13), AllOf(HasSubstr("20 tokens of prompt"), HasSubstr("32")));
  EXPECT_THAT(refusal(32, 0), AllOf(HasSubstr("32 tokens"), HasSubstr("31 tokens")));
  EXPECT_THAT(refusal(25, 0), HasSubstr("KV cache"));
  EXPECT_EQ(scheduler_.most_tokens(20, 0), 25);  // what the cache leaves room for
}

}  // namespace
}  // namespace tenon::llm
