#pragma once

#include <span>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace tenon::passes {

// Whether linears read one x and differ only in their constant weights and biases, so that one
// linear with stacked rows gives all their outputs side by side.
bool can_pack_linears(const ir::Graph& graph, std::span<const ir::NodeId> linears);

// Puts the packed linear in place of the first; its output carries the names of all. The others
// stay until they are erased as dead. Returns the packed output.
ir::ValueId pack_linears(ir::Graph& graph, std::span<const ir::NodeId> linears);

// "a.q_proj", "a.k_proj", "a.v_proj" -> "a.qkv_proj"; "a.gate_proj", "a.up_proj" ->
// "a.gate_up_proj".
std::string packed_module_name(const std::vector<std::string>& modules);

}  // namespace tenon::passes
