#pragma once

#include <vector>

#include "ir/graph.h"
#include "plan/plan.h"
#include "tensor/recipe.h"

namespace tenon::compiler {

// A plan being made: its constants' recipes stand beside plan.constants, index for index.
struct LoweredPlan {
  plan::Plan plan;
  std::vector<Recipe> recipes;
};

// Appends a graph to the plan as a stage, with the lifetimes of its values. Constants that an
// earlier stage has too (equal recipes) are shared.
void lower_stage(const ir::Graph& graph, std::vector<plan::SymbolRange> symbols,
                 LoweredPlan& lowered);

// The catalogue op `sample` as a stage of its own, for logits [rows, vocabulary].
ir::Graph make_sample_graph(int64_t vocabulary, const ops::Catalogue& catalogue);

}  // namespace tenon::compiler
