#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "device/device.h"
#include "plan/plan.h"
#include "runtime/binding.h"
#include "runtime/constant_source.h"

namespace tenon::runtime {

// Called after each step with its outputs; for comparing and profiling.
using StepObserver = std::function<void(size_t step, std::span<const TensorView> outputs)>;

// Runs one stage of a plan. Owns its arena, its states and its bindings, one for each profile bucket
// met. Not thread-safe: one runner serves one caller at a time.
class StageRunner {
 public:
  StageRunner(const plan::Plan& plan, const plan::Stage& stage, ConstantSource& constants,
              std::vector<Backend> backends, device::Allocator& allocator);

  const plan::Stage& stage() const { return stage_; }

  // Allocates every state, zeroed, for these symbol values ("cache_blocks", "block_size").
  // Bytes needed are known from state_bytes() beforehand.
  void allocate_states(const SymbolValues& symbols);
  int64_t state_bytes(const SymbolValues& symbols) const;
  TensorView state(std::string_view name) const;

  // Inputs in the order of the stage's inputs; the symbols' values follow from their extents and must
  // agree. Returns the outputs, borrowed until the next run. Throws ErrorCode::BadInput listing every
  // wrong input with expected and got.
  std::span<const TensorView> run(std::span<const TensorView> inputs);

  void set_observer(StepObserver observer) { observer_ = std::move(observer); }
  // Implementations chosen for a bucket that holds these symbol values; binds it where it is new.
  const std::vector<StepChoice>& choices(const SymbolValues& symbols);
  // Bytes of the arena and workspaces now held.
  int64_t arena_bytes() const { return arena_.bytes() + workspace_.bytes(); }

 private:
  SymbolValues solve_symbols(std::span<const TensorView> inputs) const;
  const Binding& binding_for(const SymbolValues& symbols);
  void make_views(const Binding& binding, const SymbolValues& symbols);
  void run_step(const Binding& binding, size_t index);

  const plan::Plan& plan_;
  const plan::Stage& stage_;
  ConstantSource& constants_;
  std::vector<Backend> backends_;
  device::Allocator& allocator_;
  device::Arena arena_, workspace_;
  std::vector<device::Arena> state_memory_;
  SymbolValues state_symbols_;
  std::map<std::vector<int64_t>, Binding> bindings_;
  SymbolValues current_symbols_;
  const Binding* current_binding_ = nullptr;
  std::vector<TensorView> views_;  // of each value
  std::vector<TensorView> outputs_;
  std::vector<TensorView> step_inputs_, step_outputs_;
  StepObserver observer_;
};

}  // namespace tenon::runtime
