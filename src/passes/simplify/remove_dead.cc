#include "passes/pipeline.h"

namespace tenon::passes {

// Removes nodes that nothing reads and that touch no state: importers and other passes leave them.
size_t remove_dead(ir::Graph& graph, const PassOptions&) {
  return graph.erase_dead_nodes();
}

}  // namespace tenon::passes
