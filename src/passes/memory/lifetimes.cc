#include "passes/memory/lifetimes.h"

namespace tenon::passes {

std::vector<Lifetime> lifetimes(const ir::Graph& graph) {
  std::vector<int64_t> last(graph.values().size(), 0);
  int64_t steps = static_cast<int64_t>(graph.nodes().size());
  for (int64_t step = 0; step < steps; ++step) {
    const ir::Node& node = graph.nodes()[step];
    for (ir::ValueId id : node.outputs) last[id] = step;
    ir::for_each_read(node, [&](ir::ValueId id) { last[id] = step; });
  }
  for (ir::ValueId id : graph.outputs()) last[id] = steps - 1;

  std::vector<Lifetime> result;
  for (int64_t step = 0; step < steps; ++step) {
    for (ir::ValueId id : graph.nodes()[step].outputs) result.push_back({id, step, last[id]});
  }
  return result;
}

}  // namespace tenon::passes
