#include "runtime/stage_runner.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstring>

#include "base/checked.h"
#include "base/error.h"
#include "base/log.h"
#include "ops/slice.h"
#include "runtime/step_signature.h"

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

// Calls piece(of device, of host, bytes) for a view on the device and a contiguous one of the same
// extents: once, or for each row where rows lie apart.
template <class Piece>
void each_piece(const TensorView& device, const TensorView& host, const Piece& piece) {
  if (device.count() == 0) return;
  if (device.is_contiguous()) return piece(device.data, host.data, host.bytes());
  int64_t bytes = dtype_bytes(device.dtype, device.columns());
  for (int64_t row = 0; row < device.rows(); ++row) {
    int64_t offset = 0, rest = row;
    for (int axis = device.rank() - 2; axis >= 0; --axis) {
      offset += rest % device.extents[axis] * device.strides[axis];
      rest /= device.extents[axis];
    }
    piece(static_cast<std::byte*>(device.data) + dtype_bytes(device.dtype, offset),
          static_cast<std::byte*>(host.data) + row * bytes, bytes);
  }
}

}  // namespace

// A recording of the stage's steps for exactly these sizes. Addresses are part of it, so that any
// reallocation discards all of them.
struct StageRunner::Recorded {
  int runs = 0;                      // of these sizes; recording starts when they come again
  std::vector<const void*> aliased;  // device inputs, read where they lie
  std::unique_ptr<device::Graph> graph;
};

StageRunner::StageRunner(const plan::Stage& stage, ConstantSource& constants,
                         std::vector<Backend> backends, device::Device& device,
                         device::Stream& stream)
    : stage_(stage),
      constants_(constants),
      backends_(std::move(backends)),
      device_(device),
      stream_(stream) {
  views_.resize(stage.values.size());
  outputs_.resize(stage.outputs.size());
}

StageRunner::~StageRunner() = default;

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
  stream_.synchronize();
  state_memory_.clear();
  recorded_.clear();
  current_binding_ = nullptr;
  std::vector<device::Arena> memory;
  for (int32_t index : stage_.states) {
    const ValueType& type = stage_.values[index].type;
    Extents extents = evaluate(type.shape, symbols);
    int64_t bytes =
        std::max<int64_t>(dtype_bytes(type.dtype, checked_product(extents.span(), "state")), 64);
    memory.emplace_back(device_.allocator(), bytes);
    // Fresh host pages are zero already, and become resident only when a position is written.
    if (!device_.is_host()) device_.clear(memory.back().data(), bytes, stream_);
    views_[index] = TensorView(memory.back().data(), type.dtype, extents);
  }
  state_memory_ = std::move(memory);
  state_symbols_ = symbols;
}

SymbolValues StageRunner::solve_symbols(std::span<const StageInput> inputs) const {
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
    problems.add(
        Error(ErrorCode::BadInput, problem)
            .at(stage_.name)
            .at(input_name(value, i))
            .got(std::string(dtype_name(inputs[i].view.dtype)) + inputs[i].view.extents.to_string())
            .accepted(to_string(value.type)));
  };
  for (size_t i = 0; i < inputs.size(); ++i) {
    const ValueType& type = stage_.values[stage_.inputs[i]].type;
    if (inputs[i].view.dtype != type.dtype) {
      wrong(i, "input has the wrong element type");
      continue;
    }
    if (inputs[i].view.rank() != static_cast<int>(type.shape.size())) {
      wrong(i, "input has the wrong rank");
      continue;
    }
    for (int axis = 0; axis < inputs[i].view.rank(); ++axis) {
      std::optional<std::string> name = type.shape[axis].symbol_name();
      if (!name) continue;
      auto [entry, added] = symbols.emplace(*name, inputs[i].view.extents[axis]);
      if (!added && entry->second != inputs[i].view.extents[axis])
        wrong(i, "input size disagrees on " + *name);
    }
  }
  problems.throw_if_any();
  for (size_t i = 0; i < inputs.size(); ++i) {
    const ValueType& type = stage_.values[stage_.inputs[i]].type;
    if (!(evaluate(type.shape, symbols) == inputs[i].view.extents))
      wrong(i, "input has the wrong size");
  }
  for (const plan::SymbolRange& range : stage_.symbols) {
    auto found = symbols.find(range.name);
    if (found == symbols.end() || (found->second >= range.least && found->second <= range.most))
      continue;
    problems.add(Error(ErrorCode::BadInput, "size is outside what the plan was built for")
                     .at(stage_.name)
                     .at(range.name)
                     .got(std::to_string(found->second))
                     .accepted(std::to_string(range.least) + " to " + std::to_string(range.most)));
  }
  problems.throw_if_any();
  return symbols;
}

SymbolValues StageRunner::bounds_of(const SymbolValues& symbols) const {
  SymbolValues bounds;
  for (const auto& [name, value] : symbols) {
    // Sizes of states are exact: they do not change between runs.
    bounds[name] = state_symbols_.count(name) ? value : bucket_bound(value);
  }
  return bounds;
}

const Binding& StageRunner::binding_for(const SymbolValues& symbols) {
  SymbolValues bounds = bounds_of(symbols);
  std::vector<int64_t> key;
  for (const auto& [name, bound] : bounds) key.push_back(bound);
  auto found = bindings_.find(key);
  if (found == bindings_.end()) {
    found =
        bindings_.emplace(std::move(key), bind_stage(stage_, bounds, backends_, tactics_)).first;
  }
  // Also for a binding that is known: growing for a larger one may have failed since, and left
  // nothing.
  grow(arena_, found->second.arena_bytes);
  grow(workspace_, found->second.workspace_bytes);
  return found->second;
}

void StageRunner::grow(device::Arena& arena, int64_t bytes) {
  if (bytes <= arena.bytes()) return;
  stream_.synchronize();
  // Recordings and views hold addresses of the old memory.
  recorded_.clear();
  current_binding_ = nullptr;
  arena = device::Arena();
  arena = device::Arena(device_.allocator(), bytes);
}

void StageRunner::use_tactics(ActiveTactics* tactics) {
  stream_.synchronize();
  recorded_.clear();
  bindings_.clear();
  current_binding_ = nullptr;
  tactics_ = tactics;
}

const std::vector<StepChoice>& StageRunner::choices(const SymbolValues& symbols) {
  SymbolValues all = state_symbols_;
  for (const auto& [name, value] : symbols) all[name] = value;
  return binding_for(all).choices;
}

void StageRunner::make_views(const Binding& binding, const SymbolValues& symbols) {
  for (size_t i = 0; i < stage_.values.size(); ++i) {
    const plan::ValueInfo& value = stage_.values[i];
    if (value.role == ValueRole::Intermediate && binding.shows[i] < 0) {
      void* data = static_cast<std::byte*>(arena_.data()) + binding.offsets[i];
      views_[i] = TensorView(data, value.type.dtype, evaluate(value.type.shape, symbols));
    } else if (value.role == ValueRole::Constant && constants_.stable() && !views_[i].defined()) {
      views_[i] = constants_.constant(value.constant);
    }
  }
  for (const plan::Step& step : stage_.steps) {
    if (!binding.is_view(step)) continue;
    int32_t to = step.outputs[0];
    const TensorView& from = views_[binding.shows[to]];
    if (step.op == ops::Slice::kName) {
      auto op = ops::read_attributes<ops::Slice>(step.attributes);
      views_[to] = from.slice(static_cast<int>(op.axis), op.begin, op.end);
    } else {
      views_[to] = from.reshaped(evaluate(stage_.values[to].type.shape, symbols));
    }
  }
}

// Host inputs of a device stage are packed side by side and go over in one copy.
void StageRunner::place_inputs(std::span<const StageInput> inputs) {
  constexpr int64_t kAlignment = 256;
  if (device_.is_host()) {
    for (size_t i = 0; i < inputs.size(); ++i) views_[stage_.inputs[i]] = inputs[i].view;
    return;
  }
  int64_t total = 0;
  for (const StageInput& input : inputs) {
    if (!input.on_device) total += round_up(input.view.bytes() + 1, kAlignment);
  }
  if (total > input_memory_.bytes() || total > pinned_.bytes()) {
    int64_t bytes = std::max<int64_t>(2 * total, 1 << 16);
    grow(input_memory_, bytes);
    pinned_ = device::Arena();
    pinned_ = device::Arena(device_.pinned_allocator(), bytes);
  }
  // The last run's copy out of the pinned block must be over before it is written again.
  stream_.synchronize();
  std::byte* packed = static_cast<std::byte*>(pinned_.data());
  std::byte* device = static_cast<std::byte*>(input_memory_.data());
  int64_t at = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    TensorView& view = views_[stage_.inputs[i]];
    view = inputs[i].view;
    if (inputs[i].on_device) continue;
    std::memcpy(packed + at, view.data, static_cast<size_t>(view.bytes()));
    view = TensorView(device + at, view.dtype, view.extents);
    at += round_up(view.bytes() + 1, kAlignment);
  }
  if (at > 0) device_.upload(device, packed, at, stream_);
}

void StageRunner::run_step(const BoundStep& bound, size_t index) {
  const plan::Step& step = stage_.steps[index];
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
  args.workspace = {static_cast<std::byte*>(workspace_.data()),
                    static_cast<size_t>(workspace_.bytes())};
  args.stream = &stream_;
  try {
    bound.implementation->run(args);
  } catch (Error& error) {
    error.within(step.op).within(step.module);
    throw;
  }
  if (observer_) observe(index);
}

void StageRunner::observe(size_t index) {
  if (device_.is_host()) {
    observer_(index, step_outputs_);
    return;
  }
  observed_.clear();
  observed_copies_.clear();
  for (const TensorView& output : step_outputs_) {
    observed_copies_.push_back(Tensor::make(output.dtype, output.extents));
    observed_.push_back(observed_copies_.back().view());
    each_piece(output, observed_.back(), [&](void* on_device, void* on_host, int64_t bytes) {
      device_.download(on_host, on_device, bytes, stream_);
    });
  }
  stream_.synchronize();
  if (!observer_(index, observed_)) return;
  for (size_t i = 0; i < step_outputs_.size(); ++i) {
    each_piece(step_outputs_[i], observed_[i], [&](void* on_device, void* on_host, int64_t bytes) {
      device_.upload(on_device, on_host, bytes, stream_);
    });
  }
}

void StageRunner::run_steps(const Binding& binding) {
  for (size_t i = 0; i < stage_.steps.size(); ++i) {
    if (!binding.is_view(stage_.steps[i])) {
      run_step(binding.steps[i], i);
    } else if (observer_) {
      step_outputs_.assign(1, views_[stage_.steps[i].outputs[0]]);
      observe(i);
    }
  }
}

double StageRunner::time_steps(std::span<const size_t> steps, const Candidate& candidate,
                               int rounds, double give_up) {
  TENON_CHECK(!steps.empty() && !observer_ && has_views_);
  const Binding& binding = binding_for(current_symbols_);
  ops::OpDesc desc = describe_step(stage_, stage_.steps[steps[0]], binding.bounds);
  desc.by_tactic = true;
  desc.variant = candidate.variant;
  BoundStep bound = bind_step(*candidate.implementation, desc);
  grow(workspace_, bound.workspace_bytes);
  auto pass = [&] {
    for (size_t index : steps) run_step(bound, index);
  };
  auto seconds_of = [&](auto&& work) {
    stream_.synchronize();
    auto started = std::chrono::steady_clock::now();
    work();
    stream_.synchronize();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  };
  // The first run loads code; the second tells whether the rest is worth its time.
  run_step(bound, steps[0]);
  double one = seconds_of([&] { run_step(bound, steps[0]); });
  if (one > give_up) return one * static_cast<double>(steps.size());
  double first = seconds_of(pass);
  // Short work is repeated within one measurement, so that its start does not count.
  constexpr double kLeastSeconds = 1e-3;
  int passes = std::clamp(static_cast<int>(kLeastSeconds / std::max(first, 1e-7)), 1, 100);
  std::unique_ptr<device::Graph> graph;
  auto all_passes = [&] {
    for (int i = 0; i < passes; ++i) pass();
  };
  if (!device_.is_host()) graph = device_.record(stream_, all_passes);
  std::vector<double> seconds;
  for (int round = 0; round <= rounds; ++round) {
    seconds.push_back(seconds_of([&] { graph ? graph->launch(stream_) : all_passes(); }));
  }
  seconds.erase(seconds.begin());
  std::nth_element(seconds.begin(), seconds.begin() + rounds / 2, seconds.end());
  return seconds[rounds / 2] / passes;
}

// Sizes that come again (decoding) are recorded at their second run and replayed from then on.
bool StageRunner::replay_or_record(const Binding& binding) {
  if (device_.is_host() || observer_) return false;
  constexpr size_t kMostRecordings = 256;
  if (recorded_.size() > kMostRecordings) recorded_.clear();
  std::unique_ptr<Recorded>& recorded = recorded_[current_symbols_];
  if (!recorded) recorded = std::make_unique<Recorded>();
  std::vector<const void*> addresses;
  for (int32_t input : stage_.inputs) addresses.push_back(views_[input].data);
  if (recorded->graph && recorded->aliased != addresses) {
    recorded->graph.reset();
    recorded->runs = 1;
  }
  if (!recorded->graph && recorded->runs++ > 0) {
    recorded->graph = device_.record(stream_, [&] { run_steps(binding); });
    recorded->aliased = std::move(addresses);
  }
  if (!recorded->graph) return false;
  recorded->graph->launch(stream_);
  return true;
}

std::span<const TensorView> StageRunner::run(std::span<const TensorView> host_inputs) {
  host_inputs_.clear();
  for (const TensorView& view : host_inputs) host_inputs_.push_back({view, device_.is_host()});
  return run(std::span<const StageInput>(host_inputs_));
}

std::span<const TensorView> StageRunner::run(std::span<const StageInput> inputs) {
  SymbolValues symbols = solve_symbols(inputs);
  if (state_memory_.empty() && !stage_.states.empty()) {
    throw Error(ErrorCode::Usage, "states are not allocated")
        .at(stage_.name)
        .fix("call allocate_states first");
  }
  place_inputs(inputs);
  if (!current_binding_ || symbols != current_symbols_) {
    const Binding& binding = binding_for(symbols);
    // Uploading the weights may fail half-way through the views: then there are none.
    current_binding_ = nullptr;
    has_views_ = false;
    make_views(binding, symbols);
    has_views_ = true;
    current_binding_ = &binding;
    current_symbols_ = std::move(symbols);
  }
  if (!replay_or_record(*current_binding_)) run_steps(*current_binding_);
  for (size_t i = 0; i < stage_.outputs.size(); ++i) outputs_[i] = views_[stage_.outputs[i]];
  return outputs_;
}

TensorView StageRunner::to_host(const TensorView& output) {
  if (device_.is_host()) return output;
  if (!downloaded_.view().defined() || downloaded_.dtype() != output.dtype ||
      !(downloaded_.extents() == output.extents)) {
    downloaded_ = Tensor::make(output.dtype, output.extents);
  }
  copy_to_host(output, downloaded_.view().data);
  return downloaded_.view();
}

void StageRunner::copy_to_host(const TensorView& output, void* to) {
  if (output.count() > 0) device_.download(to, output.data, output.bytes(), stream_);
  stream_.synchronize();
}

}  // namespace tenon::runtime
