#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"

// What passes share. A pass replaces nodes in place and ends with erase_dead_nodes(), so that its
// cost does not grow with changes times nodes.
namespace tenon::passes {

template <class Op>
Op op_of(const ir::Node& node) {
  return ops::read_attributes<Op>(node.attributes);
}

// The node that computes a value where its op is `op`, else kNone.
ir::NodeId producer_of(const ir::Graph& graph, ir::ValueId id, std::string_view op);

// Nothing but `user` sees the value.
bool is_only_for(const ir::Graph& graph, ir::ValueId id, ir::NodeId user);

// A "dtype" attribute for `wanted` on an op whose output otherwise has type `follows`.
std::string dtype_attribute_for(DType wanted, DType follows);

// Puts `spec` in place of node `at`: its first output takes over the users and names of `root`,
// then the names of the values that are computed no more. Returns the node's outputs.
std::vector<ir::ValueId> fuse_into(ir::Graph& graph, ir::NodeId at, const ir::NodeSpec& spec,
                                   ir::ValueId root, std::initializer_list<ir::ValueId> removed);

// Appends the names that `to` does not have yet.
void inherit_names(ir::Graph& graph, ir::ValueId to, ir::ValueId from);

}  // namespace tenon::passes
