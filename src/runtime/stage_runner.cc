#include "runtime/stage_runner.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/checked.h"
#include "base/error.h"
#include "base/log.h"

namespace tenon::runtime {
namespace {

using plan::ValueRole;

// A bucket's bound: the next power of two, so that few bindings serve all sizes.
int64_t bucket_bound(int64_t value) {
  return value <= 1 ? 1 : static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(value)));
}

std::string input_name(const plan::ValueInfo& value, size_t index) {
  return value.names.empty() ? "input " + std::to_string(index) : value.names[0];
}

}  // namespace

StageRunner::StageRunner(const plan::Plan& plan, const plan::Stage& stage, ConstantSource& constants,
                         std::vector<Backend> backends, device::Allocator& allocator)
    : plan_(plan), stage_(stage), constants_(constants), backends_(std::move(backends)), allocator_(allocator) {
  views_.resize(stage.values.size());
  outputs_.resize(stage.outputs.size());
}

int64_t StageRunner::state_bytes(const SymbolValues& symbols) const {
  int64_t total = 0;
  for (int32_t index : stage_.states) {
    const ValueType& type = stage_.values[index].type;
    Extents extents = evaluate(type.shape, symbols);
    int64_t bytes = dtype_bytes(type.dtype, checked_product(extents.span(), "state"));
    total = checked_add(total, bytes, "states");
  }
  return total;
}

void StageRunner::allocate_states(const SymbolValues& symbols) {
  std::vector<device::Arena> memory;
  for (int32_t index : stage_.states) {
    const ValueType& type = stage_.values[index].type;
    Extents extents = evaluate(type.shape, symbols);
    int64_t bytes = dtype_bytes(type.dtype, checked_product(extents.span(), "state"));
    // Fresh pages are zero; they become resident only when a position is written.
    memory.emplace_back(allocator_, std::max<int64_t>(bytes, 64));
    views_[index] = TensorView(memory.back().data(), type.dtype, extents);
  }
  state_memory_ = std::move(memory);
  state_symbols_ = symbols;
  current_binding_ = nullptr;
}

TensorView StageRunner::state(std::string_view name) const {
  for (int32_t index : stage_.states) {
    const auto& names = stage_.values[index].names;
    if (std::find(names.begin(), names.end(), name) != names.end()) return views_[index];
  }
  throw Error(ErrorCode::Usage, "no such state").got(name).at(stage_.name);
}

SymbolValues StageRunner::solve_symbols(std::span<const TensorView> inputs) const {
  SymbolValues symbols = state_symbols_;
  Problems problems;
  if (inputs.size() != stage_.inputs.size()) {
    throw Error(ErrorCode::BadInput, "wrong number of inputs")
        .at(stage_.name)
        .got(std::to_string(inputs.size()))
        .accepted(std::to_string(stage_.inputs.size()));
  }
  auto wrong = [&](size_t i, std::string_view problem) {
    const plan::ValueInfo& value = stage_.values[stage_.inputs[i]];
    problems.add(Error(ErrorCode::BadInput, problem)
                     .at(stage_.name)
                     .at(input_name(value, i))
                     .got(std::string(dtype_name(inputs[i].dtype)) + inputs[i].extents.to_string())
                     .accepted(to_string(value.type)));
  };
  for (size_t i = 0; i < inputs.size(); ++i) {
    const ValueType& type = stage_.values[stage_.inputs[i]].type;
    if (inputs[i].dtype != type.dtype) {
      wrong(i, "input has the wrong element type");
      continue;
    }
    if (inputs[i].rank() != static_cast<int>(type.shape.size())) {
      wrong(i, "input has the wrong rank");
      continue;
    }
    for (int axis = 0; axis < inputs[i].rank(); ++axis) {
      std::optional<std::string> name = type.shape[axis].symbol_name();
      if (!name) continue;
      auto [entry, added] = symbols.emplace(*name, inputs[i].extents[axis]);
      if (!added && entry->second != inputs[i].extents[axis]) wrong(i, "input size disagrees on " + *name);
    }
  }
  problems.throw_if_any();
  for (size_t i = 0; i < inputs.size(); ++i) {
    const ValueType& type = stage_.values[stage_.inputs[i]].type;
    if (!(evaluate(type.shape, symbols) == inputs[i].extents)) wrong(i, "input has the wrong size");
  }
  for (const plan::SymbolRange& range : stage_.symbols) {
    auto found = symbols.find(range.name);
    if (found == symbols.end() || (found->second >= range.least && found->second <= range.most)) continue;
    problems.add(Error(ErrorCode::BadInput, "size is outside what the plan was built for")
                     .at(stage_.name)
                     .at(range.name)
                     .got(std::to_string(found->second))
                     .accepted(std::to_string(range.least) + " to " + std::to_string(range.most)));
  }
  problems.throw_if_any();
  return symbols;
}

const Binding& StageRunner::binding_for(const SymbolValues& symbols) {
  std::vector<int64_t> key;
  SymbolValues bounds;
  for (const auto& [name, value] : symbols) {
    // Sizes of states are exact: they do not change between runs.
    int64_t bound = state_symbols_.count(name) ? value : bucket_bound(value);
    bounds[name] = bound;
    key.push_back(bound);
  }
  auto found = bindings_.find(key);
  if (found != bindings_.end()) return found->second;
  Binding binding = bind_stage(stage_, bounds, backends_);
  if (binding.arena_bytes > arena_.bytes()) {
    arena_ = device::Arena();
    arena_ = device::Arena(allocator_, binding.arena_bytes);
    current_binding_ = nullptr;
  }
  if (binding.workspace_bytes > workspace_.bytes()) {
    workspace_ = device::Arena();
    workspace_ = device::Arena(allocator_, binding.workspace_bytes);
  }
  return bindings_.emplace(std::move(key), std::move(binding)).first->second;
}

const std::vector<StepChoice>& StageRunner::choices(const SymbolValues& symbols) {
  SymbolValues all = state_symbols_;
  for (const auto& [name, value] : symbols) all[name] = value;
  return binding_for(all).choices;
}

void StageRunner::make_views(const Binding& binding, const SymbolValues& symbols) {
  for (size_t i = 0; i < stage_.values.size(); ++i) {
    const plan::ValueInfo& value = stage_.values[i];
    if (value.role == ValueRole::Intermediate) {
      void* data = static_cast<std::byte*>(arena_.data()) + binding.offsets[i];
      views_[i] = TensorView(data, value.type.dtype, evaluate(value.type.shape, symbols));
    } else if (value.role == ValueRole::Constant && constants_.stable() && !views_[i].defined()) {
      views_[i] = constants_.constant(value.constant);
    }
  }
}

void StageRunner::run_step(const Binding& binding, size_t index) {
  const plan::Step& step = stage_.steps[index];
  const BoundStep& bound = binding.steps[index];
  step_inputs_.clear();
  step_outputs_.clear();
  if (!constants_.stable()) constants_.begin_step();
  for (int32_t input : step.inputs) {
    if (input >= 0 && stage_.values[input].role == ValueRole::Constant && !constants_.stable()) {
      step_inputs_.push_back(constants_.constant(stage_.values[input].constant));
    } else {
      step_inputs_.push_back(input >= 0 ? views_[input] : TensorView());
    }
  }
  for (int32_t output : step.outputs) step_outputs_.push_back(views_[output]);
  ops::RunArgs args;
  args.inputs = step_inputs_;
  args.outputs = step_outputs_;
  args.prepared = bound.prepared.get();
  args.workspace = {static_cast<std::byte*>(workspace_.data()), static_cast<size_t>(workspace_.bytes())};
  try {
    bound.implementation->run(args);
  } catch (Error& error) {
    error.within(step.op).within(step.module);
    throw;
  }
  if (observer_) observer_(index, step_outputs_);
}

std::span<const TensorView> StageRunner::run(std::span<const TensorView> inputs) {
  SymbolValues symbols = solve_symbols(inputs);
  if (state_memory_.empty() && !stage_.states.empty()) {
    throw Error(ErrorCode::Usage, "states are not allocated").at(stage_.name).fix("call allocate_states first");
  }
  if (!current_binding_ || symbols != current_symbols_) {
    const Binding& binding = binding_for(symbols);
    make_views(binding, symbols);
    current_binding_ = &binding;
    current_symbols_ = std::move(symbols);
  }
  for (size_t i = 0; i < inputs.size(); ++i) views_[stage_.inputs[i]] = inputs[i];
  for (size_t i = 0; i < stage_.steps.size(); ++i) run_step(*current_binding_, i);
  for (size_t i = 0; i < stage_.outputs.size(); ++i) outputs_[i] = views_[stage_.outputs[i]];
  return outputs_;
}

}  // namespace tenon::runtime
