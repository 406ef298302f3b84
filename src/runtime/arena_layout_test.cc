#include "runtime/arena_layout.h"

#include <gtest/gtest.h>

#include <random>

namespace tenon::runtime {
namespace {

TEST(ArenaLayout, NeverOverlapsWhatIsAliveTogether) {
  std::mt19937 random(7);
  for (int repeat = 0; repeat < 50; ++repeat) {
    std::vector<BufferNeed> needs;
    int64_t most_alive = 0;
    for (int i = 0; i < 60; ++i) {
      int32_t first = random() % 40;
      needs.push_back({static_cast<int64_t>(random() % 5000 + 1), first,
                       first + static_cast<int32_t>(random() % 6)});
    }
    ArenaLayout layout = lay_out_arena(needs);
    for (size_t a = 0; a < needs.size(); ++a) {
      EXPECT_EQ(layout.offsets[a] % 256, 0);
      EXPECT_LE(layout.offsets[a] + needs[a].bytes, layout.bytes);
      for (size_t b = 0; b < a; ++b) {
        bool together =
            needs[a].first_step <= needs[b].last_step && needs[b].first_step <= needs[a].last_step;
        bool apart = layout.offsets[a] + needs[a].bytes <= layout.offsets[b] ||
                     layout.offsets[b] + needs[b].bytes <= layout.offsets[a];
        ASSERT_TRUE(!together || apart);
      }
    }
    for (int step = 0; step < 46; ++step) {
      int64_t alive = 0;
      for (const BufferNeed& need : needs) {
        if (need.first_step <= step && step <= need.last_step)
          alive += (need.bytes + 255) / 256 * 256;
      }
      most_alive = std::max(most_alive, alive);
    }
    EXPECT_LE(layout.bytes, most_alive * 3 / 2);
  }
}

}  // namespace
}  // namespace tenon::runtime
