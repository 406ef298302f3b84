#pragma once

#include <cstdint>
#include <vector>

#include "ir/graph.h"

namespace tenon::passes {

// The steps, counted in nodes, between which an intermediate value needs its memory, both included:
// two values whose spans share no step may share memory.
struct Lifetime {
  ir::ValueId value = ir::kNone;
  int64_t first_step = 0, last_step = 0;
  bool operator==(const Lifetime&) const = default;
};

// Of every intermediate value, in the order they are computed. Graph outputs live to the last step;
// a value nobody reads lives at its own step.
std::vector<Lifetime> lifetimes(const ir::Graph& graph);

}  // namespace tenon::passes
