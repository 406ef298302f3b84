#include "pipelines/llm/prefix_cache.h"

#include <gtest/gtest.h>

#include "pipelines/llm/test_plan.h"

namespace tenon::llm {
namespace {

using Ids = std::vector<int32_t>;

class PrefixCacheTest : public testing::Test {
 protected:
  void keep(PrefixCache& cache, const Ids& tokens) {
    auto count = static_cast<int64_t>(tokens.size());
    cache.keep(tokens, allocator_.make_blocks(allocator_.blocks_for(count)));
  }
  BlockAllocator allocator_{16, 4};
};

TEST_F(PrefixCacheTest, GivesTheLongestBeginning) {
  PrefixCache cache(allocator_, 2);
  keep(cache, {1, 2, 3, 4, 5});
  keep(cache, {1, 2, 9, 9});
  EXPECT_EQ(cache.blocks(), 3);
  {
    PrefixCache::Reuse reuse = cache.take(Ids{1, 2, 3, 4, 7, 8});
    EXPECT_EQ(reuse.positions, 4);
    EXPECT_EQ(reuse.blocks.ids().size(), 2u);
    EXPECT_EQ(cache.blocks(), 1);
    EXPECT_EQ(allocator_.free_blocks(), 13);
  }
  EXPECT_EQ(allocator_.free_blocks(), 15);
  EXPECT_EQ(cache.take(Ids{7, 8}).positions, 0);
  EXPECT_EQ(cache.take(Ids{}).positions, 0);
}

TEST_F(PrefixCacheTest, LeavesTheLastTokenToBeComputed) {
  PrefixCache cache(allocator_, 1);
  keep(cache, {1, 2, 3});
  EXPECT_EQ(cache.take(Ids{1, 2, 3}).positions, 2);
  keep(cache, {1, 2, 3});
  EXPECT_EQ(cache.take(Ids{1}).positions, 0);
}

TEST_F(PrefixCacheTest, SparesALongConversationWhileThereIsRoom) {
  PrefixCache two(allocator_, 2);
  keep(two, {1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_EQ(two.take(Ids{1, 2, 30}).positions, 0);
  keep(two, {40});
  EXPECT_EQ(two.take(Ids{1, 2, 30}).positions, 2);
}

TEST_F(PrefixCacheTest, ComparesNoEmbeddings) {
  PrefixCache cache(allocator_, 1);
  keep(cache, {1, 2, -1, -2, 5, 6, 7, 8, 9});
  EXPECT_EQ(cache.blocks(), 1);
  EXPECT_EQ(cache.take(Ids{1, 2, -1, -2, 5, 6}).positions, 2);
  keep(cache, {-1, 5});
  EXPECT_EQ(cache.blocks(), 0);
}

TEST_F(PrefixCacheTest, DropsWhatWasUsedLeastRecently) {
  PrefixCache cache(allocator_, 2);
  keep(cache, {1, 1});
  keep(cache, {2, 2});
  keep(cache, {3, 3});
  EXPECT_EQ(cache.blocks(), 2);
  EXPECT_EQ(cache.take(Ids{1, 1, 1}).positions, 0);
  EXPECT_TRUE(cache.evict());
  EXPECT_EQ(cache.take(Ids{3, 3, 3}).positions, 2);
  EXPECT_FALSE(cache.evict());
  PrefixCache none(allocator_, 0);
  keep(none, {1, 2});
  EXPECT_EQ(none.blocks(), 0);
  EXPECT_EQ(allocator_.free_blocks(), 16);
}

SamplingParams greedy(int64_t new_tokens) {
  SamplingParams params;
  params.max_new_tokens = new_tokens;
  params.ignore_eos = true;
  return params;
}

Result ask(Engine& engine, const Ids& ids, int64_t new_tokens = 6) {
  return engine.generate({{Segment::of_ids(ids)}, greedy(new_tokens)});
}

// Turns of a chat, each prompt the one before with its answer and something new.
TEST(PrefixReuse, ChangesNoToken) {
  TestModel model;
  for (int64_t block_size : {0, 4, 16}) {
    SCOPED_TRACE(block_size);
    auto plain = model.make_engine({.max_batch_size = 2, .block_size = block_size});
    auto keeping =
        model.make_engine({.max_batch_size = 2, .block_size = block_size, .kept_prefixes = 1});
    Ids ids = {kTestBos, 3, 4, 5};
    for (int turn = 0; turn < 5; ++turn) {
      Result expected = ask(*plain, ids), got = ask(*keeping, ids);
      EXPECT_EQ(got.ids, expected.ids) << "turn " << turn;
      EXPECT_EQ(expected.reused_tokens, 0);
      // The last drawn token was never computed.
      int64_t known = turn == 0 ? 0 : static_cast<int64_t>(ids.size()) - 1 - 3;
      EXPECT_EQ(got.reused_tokens, known);
      ids.insert(ids.end(), got.ids.begin(), got.ids.end());
      ids.insert(ids.end(), {int32_t{7} + turn, 8, 9});
    }
    // Another beginning: only what is shared is taken over.
    ids[2] = 20;
    Result expected = ask(*plain, ids), got = ask(*keeping, ids);
    EXPECT_EQ(got.ids, expected.ids);
    EXPECT_EQ(got.reused_tokens, 2);
  }
}

TEST(PrefixReuse, GivesWayWhereBlocksAreNeeded) {
  TestModel model;
  auto engine = model.make_engine(
      {.max_batch_size = 2, .cache_blocks = 6, .block_size = 4, .kept_prefixes = 3});
  for (int32_t first = 0; first < 8; ++first) ask(*engine, {first, 1, 2, 3}, 8);
  EXPECT_LT(engine->stats().free_blocks, 6);
  Ids longest(16, 5);
  EXPECT_EQ(ask(*engine, longest, 8).ids.size(), 8u);
  int64_t rows = 0;
  engine->forced_logits(Ids(24, 5),
                        [&](int64_t, const TensorView& logits) { rows += logits.extents[0]; });
  EXPECT_EQ(rows, 24);
}

TEST(PrefixReuse, KeepsWhatACancelledRequestComputed) {
  TestModel model;
  auto engine = model.make_engine({.kept_prefixes = 1});
  Ids ids = {1, 2, 3, 4, 5};
  RequestId id = engine->submit({{Segment::of_ids(ids)}, greedy(20)});
  for (int step = 0; step < 3; ++step) engine->step();
  engine->cancel(id);
  engine->run_until_done();
  Result result = ask(*engine, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(result.reused_tokens, 5);
  EXPECT_EQ(result.ids, ask(*model.make_engine(), {1, 2, 3, 4, 5, 6}).ids);
}

}  // namespace
}  // namespace tenon::llm
