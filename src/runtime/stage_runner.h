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

// Called after each step with its outputs, in host memory; for comparing and profiling. Returns
// whether it changed them: later steps then see the change.
using StepObserver = std::function<bool(size_t step, std::span<const TensorView> outputs)>;

// An input of a run: in host memory, or what another stage of the session left on the device.
struct StageInput {
  TensorView view;
  bool on_device = false;
};

// Runs one stage of a plan on one device. Owns its arena, its states and its bindings, one for each
// profile bucket met. On a device that records graphs, sizes that come again are replayed as one
// launch. Not thread-safe: one runner serves one caller at a time.
class StageRunner {
 public:
  StageRunner(const plan::Stage& stage, ConstantSource& constants, std::vector<Backend> backends,
              device::Device& device, device::Stream& stream);
  ~StageRunner();

  const plan::Stage& stage() const { return stage_; }
  bool is_host() const { return device_.is_host(); }

  // Allocates every state, zeroed, for these symbol values ("cache_blocks", "block_size").
  // Bytes needed are known from state_bytes() beforehand.
  void allocate_states(const SymbolValues& symbols);
  int64_t state_bytes(const SymbolValues& symbols) const;

  // Inputs in the order of the stage's inputs; the symbols' values follow from their extents and
  // must agree. Returns the outputs, in the device's memory, borrowed until the next run. Throws
  // ErrorCode::BadInput listing every wrong input with expected and got.
  std::span<const TensorView> run(std::span<const StageInput> inputs);
  std::span<const TensorView> run(std::span<const TensorView> host_inputs);
  // An output of the last run in host memory, once it is complete: itself where the device is the
  // host, else a copy borrowed until the next call.
  TensorView to_host(const TensorView& output);
  // The same into memory of the caller, best pinned, as many bytes as the output has.
  void copy_to_host(const TensorView& output, void* to);

  // Measured choices for bindings made from now on; nullptr: none. Borrowed.
  void use_tactics(ActiveTactics* tactics);
  void set_observer(StepObserver observer) { observer_ = std::move(observer); }
  // Implementations chosen for a bucket that holds these symbol values; binds it where it is new.
  const std::vector<StepChoice>& choices(const SymbolValues& symbols);
  // For tuning: seconds that one pass over `steps` takes on `candidate`, whose signature they
  // share; the median of `rounds` passes or more, after one that warms up. Works on what the last
  // run left behind, in the arena's memory and the states, and leaves garbage in both. Where one
  // step alone takes longer than `give_up` seconds, that is all that is measured. Throws what the
  // candidate throws.
  double time_steps(std::span<const size_t> steps, const Candidate& candidate, int rounds,
                    double give_up);
  // The bucket that holds these symbol values: what steps are described with.
  SymbolValues bounds_of(const SymbolValues& symbols) const;
  const std::vector<Backend>& backends() const { return backends_; }
  // Bytes of the arena and workspaces now held.
  int64_t arena_bytes() const { return arena_.bytes() + workspace_.bytes(); }

 private:
  struct Recorded;
  SymbolValues solve_symbols(std::span<const StageInput> inputs) const;
  const Binding& binding_for(const SymbolValues& symbols);
  void grow(device::Arena& arena, int64_t bytes);
  void make_views(const Binding& binding, const SymbolValues& symbols);
  void place_inputs(std::span<const StageInput> inputs);
  void run_steps(const Binding& binding);
  void run_step(const BoundStep& bound, size_t index);
  void observe(size_t index);
  bool replay_or_record(const Binding& binding);

  const plan::Stage& stage_;
  ConstantSource& constants_;
  std::vector<Backend> backends_;
  device::Device& device_;
  device::Stream& stream_;
  ActiveTactics* tactics_ = nullptr;
  device::Arena arena_, workspace_;
  device::Arena input_memory_, pinned_;  // inputs on the device, and where they are packed for it
  std::vector<device::Arena> state_memory_;
  SymbolValues state_symbols_;
  std::map<std::vector<int64_t>, Binding> bindings_;
  std::map<SymbolValues, std::unique_ptr<Recorded>> recorded_;
  SymbolValues current_symbols_;
  const Binding* current_binding_ = nullptr;
  bool has_views_ = false;         // of current_symbols_; a growing workspace does not move them
  std::vector<TensorView> views_;  // of each value
  std::vector<TensorView> outputs_;
  std::vector<TensorView> step_inputs_, step_outputs_, observed_;
  std::vector<Tensor> observed_copies_;
  std::vector<StageInput> host_inputs_;
  Tensor downloaded_;
  StepObserver observer_;
};

}  // namespace tenon::runtime
