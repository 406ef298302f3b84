#include "runtime/arena_layout.h"

#include <algorithm>
#include <numeric>

#include "base/checked.h"

namespace tenon::runtime {
namespace {

constexpr int64_t kAlignment = 256;

bool alive_together(const BufferNeed& a, const BufferNeed& b) {
  return a.first_step <= b.last_step && b.first_step <= a.last_step;
}

}  // namespace

ArenaLayout lay_out_arena(const std::vector<BufferNeed>& needs) {
  std::vector<size_t> order(needs.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return needs[a].bytes > needs[b].bytes; });

  ArenaLayout layout;
  layout.offsets.assign(needs.size(), 0);
  std::vector<size_t> placed;  // by offset, ascending
  for (size_t index : order) {
    if (needs[index].bytes == 0) continue;
    int64_t bytes = round_up(needs[index].bytes, kAlignment), offset = 0;
    for (size_t other : placed) {
      if (!alive_together(needs[index], needs[other])) continue;
      if (offset + bytes <= layout.offsets[other]) break;
      offset = std::max(offset, layout.offsets[other] + round_up(needs[other].bytes, kAlignment));
    }
    layout.offsets[index] = offset;
    layout.bytes = std::max(layout.bytes, offset + bytes);
    auto at = std::upper_bound(
        placed.begin(), placed.end(), offset,
        [&](int64_t value, size_t other) { return value < layout.offsets[other]; });
    placed.insert(at, index);
  }
  return layout;
}

}  // namespace tenon::runtime
