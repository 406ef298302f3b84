#include "pipelines/llm/block_allocator.h"

#include <gmock/gmock.h>

namespace tenon::llm {
namespace {

using testing::ElementsAre;

TEST(BlockAllocator, BlocksComeBackAndTheLowestGoFirst) {
  BlockAllocator allocator(4, 16);
  EXPECT_EQ(allocator.blocks_for(0), 0);
  EXPECT_EQ(allocator.blocks_for(16), 1);
  EXPECT_EQ(allocator.blocks_for(17), 2);
  Blocks kept;
  {
    Blocks first = allocator.make_blocks(2);
    EXPECT_THAT(first.ids(), ElementsAre(0, 1));
    kept = allocator.make_blocks(1);
    EXPECT_THAT(kept.ids(), ElementsAre(2));
    EXPECT_EQ(allocator.free_blocks(), 1);
  }
  EXPECT_EQ(allocator.free_blocks(), 3);
  Blocks moved = std::move(kept);
  EXPECT_EQ(allocator.free_blocks(), 3);
  moved = allocator.make_blocks(3);  // the old ones go back only now
  EXPECT_THAT(moved.ids(), ElementsAre(0, 1, 3));
  EXPECT_EQ(allocator.free_blocks(), 1);
}

}  // namespace
}  // namespace tenon::llm
