#include "compiler/lower.h"

#include <algorithm>
#include <map>

#include "base/checked.h"
#include "base/error.h"
#include "ops/sample.h"
#include "passes/memory/lifetimes.h"

namespace tenon::compiler {
namespace {

int32_t add_constant(const ir::Value& value, LoweredPlan& lowered) {
  for (size_t i = 0; i < lowered.recipes.size(); ++i) {
    if (lowered.recipes[i] == *value.recipe) return static_cast<int32_t>(i);
  }
  plan::Constant constant;
  constant.name = value.names.empty() ? "constant" : value.names[0];
  auto taken = [&](const std::string& name) {
    return std::any_of(lowered.plan.constants.begin(), lowered.plan.constants.end(),
                       [&](const plan::Constant& other) { return other.name == name; });
  };
  for (int suffix = 2; taken(constant.name); ++suffix) {
    constant.name = value.names[0] + "#" + std::to_string(suffix);
  }
  constant.dtype = value.recipe->dtype();
  constant.extents = value.recipe->extents();
  constant.bytes = value.recipe->bytes();
  constant.recipe = value.recipe->to_string();
  constant.sources = value.recipe->source_names();
  lowered.plan.constants.push_back(std::move(constant));
  lowered.recipes.push_back(*value.recipe);
  return static_cast<int32_t>(lowered.recipes.size() - 1);
}

plan::ValueRole role_of(ir::ValueKind kind) {
  switch (kind) {
    case ir::ValueKind::Input:
      return plan::ValueRole::Input;
    case ir::ValueKind::Constant:
      return plan::ValueRole::Constant;
    case ir::ValueKind::State:
      return plan::ValueRole::State;
    case ir::ValueKind::Intermediate:
      return plan::ValueRole::Intermediate;
  }
  return plan::ValueRole::Intermediate;
}

// Values nobody uses are left out; the others are renumbered in order.
std::vector<int32_t> renumber(const ir::Graph& graph) {
  std::vector<bool> used(graph.values().size(), false);
  auto mark = [&](const std::vector<ir::ValueId>& ids) {
    for (ir::ValueId id : ids) {
      if (id != ir::kNone) used[id] = true;
    }
  };
  mark(graph.inputs());
  mark(graph.states());
  mark(graph.outputs());
  for (const ir::Node& node : graph.nodes()) {
    mark(node.inputs);
    mark(node.outputs);
  }
  std::vector<int32_t> numbers(graph.values().size(), -1);
  int32_t next = 0;
  for (size_t i = 0; i < used.size(); ++i) {
    if (used[i]) numbers[i] = next++;
  }
  return numbers;
}

std::vector<int32_t> map_ids(const std::vector<ir::ValueId>& ids,
                             const std::vector<int32_t>& numbers) {
  std::vector<int32_t> mapped;
  for (ir::ValueId id : ids) mapped.push_back(id == ir::kNone ? -1 : numbers[id]);
  return mapped;
}

}  // namespace

void lower_stage(const ir::Graph& graph, std::vector<plan::SymbolRange> symbols,
                 LoweredPlan& lowered) {
  plan::Stage stage;
  stage.name = graph.name();
  stage.symbols = std::move(symbols);
  std::vector<int32_t> numbers = renumber(graph);
  for (size_t i = 0; i < graph.values().size(); ++i) {
    if (numbers[i] < 0) continue;
    const ir::Value& value = graph.values()[i];
    plan::ValueInfo info;
    info.role = role_of(value.kind);
    info.type = value.type;
    info.names = value.names;
    if (value.kind == ir::ValueKind::Constant) info.constant = add_constant(value, lowered);
    stage.values.push_back(std::move(info));
  }
  for (const passes::Lifetime& lifetime : passes::lifetimes(graph)) {
    plan::ValueInfo& info = stage.values[numbers[lifetime.value]];
    info.first_step = static_cast<int32_t>(lifetime.first_step);
    info.last_step = static_cast<int32_t>(lifetime.last_step);
  }
  for (const ir::Node& node : graph.nodes()) {
    TENON_CHECK(node.regions.empty());
    plan::Step step;
    step.op = node.op;
    step.version = node.version;
    step.attributes = node.attributes;
    step.inputs = map_ids(node.inputs, numbers);
    step.outputs = map_ids(node.outputs, numbers);
    step.module = node.module;
    stage.steps.push_back(std::move(step));
  }
  stage.inputs = map_ids(graph.inputs(), numbers);
  stage.outputs = map_ids(graph.outputs(), numbers);
  stage.states = map_ids(graph.states(), numbers);
  lowered.plan.stages.push_back(std::move(stage));
}

ir::Graph make_sample_graph(int64_t vocabulary, const ops::Catalogue& catalogue) {
  ir::Graph graph("sample", catalogue);
  Dim rows = Dim::symbol("rows");
  std::vector<ir::ValueId> inputs;
  inputs.push_back(graph.add_input("logits", {DType::F32, {rows, vocabulary}, {}}));
  inputs.push_back(graph.add_input("temperature", {DType::F32, {rows}, {}}));
  inputs.push_back(graph.add_input("top_k", {DType::I32, {rows}, {}}));
  inputs.push_back(graph.add_input("top_p", {DType::F32, {rows}, {}}));
  inputs.push_back(graph.add_input("repetition_penalty", {DType::F32, {rows}, {}}));
  inputs.push_back(graph.add_input("uniform", {DType::F32, {rows}, {}}));
  inputs.push_back(graph.add_input("history", {DType::I32, {Dim::symbol("history_tokens")}, {}}));
  inputs.push_back(graph.add_input("history_offsets", {DType::I32, {rows + 1}, {}}));
  std::vector<ir::ValueId> outputs = graph.add_node({ops::Sample::kName, {}, inputs, "sample", 2});
  graph.add_output("ids", outputs[0]);
  graph.add_output("logprobs", outputs[1]);
  return graph;
}

}  // namespace tenon::compiler
