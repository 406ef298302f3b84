#pragma once

#include <cstdint>
#include <vector>

namespace tenon::runtime {

// A buffer that lives from first_step to last_step, both included.
struct BufferNeed {
  int64_t bytes = 0;
  int32_t first_step = 0, last_step = 0;
};

struct ArenaLayout {
  std::vector<int64_t> offsets;  // one for each need, 256-byte aligned
  int64_t bytes = 0;
};

// Places buffers so that those alive together never overlap. Greedy by size, largest first, lowest
// offset that fits: within a few percent of optimal for the graphs here. Deterministic.
ArenaLayout lay_out_arena(const std::vector<BufferNeed>& needs);

}  // namespace tenon::runtime
