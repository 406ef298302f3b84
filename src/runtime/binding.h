#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ops/implementation.h"
#include "plan/plan.h"
#include "runtime/arena_layout.h"
#include "tensor/dim.h"

namespace tenon::runtime {

// What a step runs on, and why not on something before it in the list.
struct StepChoice {
  size_t step = 0;
  std::string op, module;
  std::string implementation, variant;
  bool by_tactic = false;            // measured; else the first of the list that can
  std::string device;                // "cpu", "cuda", "reference": where it really runs
  std::vector<std::string> refused;  // "<implementation>: <reason>"
};

struct BoundStep {
  const ops::Implementation* implementation = nullptr;
  std::shared_ptr<const void> prepared;
  int64_t workspace_bytes = 0;
};

// A stage bound for one profile bucket: symbol upper bounds, implementations and memory.
struct Binding {
  SymbolValues bounds;
  std::vector<BoundStep> steps;
  std::vector<StepChoice> choices;
  std::vector<int64_t> offsets;  // of each value in the arena; -1 for values that are not in it
  // Of each value: whose memory it shows in another shape, or a part of; -1: it has its own. The
  // step that makes such a value has nothing to do.
  std::vector<int32_t> shows;
  bool is_view(const plan::Step& step) const {
    return step.outputs.size() == 1 && shows[step.outputs[0]] >= 0;
  }
  int64_t arena_bytes = 0, workspace_bytes = 0;
};

// A list of implementations with the device name they stand for, in order of preference.
struct Backend {
  std::string device;
  ops::ImplementationList implementations;
};

class ActiveTactics;

// Chooses implementations for every step and lays out the arena for symbols up to `bounds`. Tactics
// that a step's implementation refuses are noted in `tactics` and not used.
// Throws ErrorCode::Unsupported naming every step nobody can do, with all reasons.
// Reshapes and parts of rows that only attention reads are views: nothing is copied.
Binding bind_stage(const plan::Stage& stage, const SymbolValues& bounds,
                   const std::vector<Backend>& backends, ActiveTactics* tactics = nullptr);

// One implementation for one step of that desc, prepared.
BoundStep bind_step(const ops::Implementation& implementation, const ops::OpDesc& desc);

// Every implementation that can do the desc when a tactic asks for it, with its variants.
struct Candidate {
  const ops::Implementation* implementation = nullptr;
  std::string variant;
  std::string device;  // of the back end
};
std::vector<Candidate> find_candidates(const ops::OpDesc& desc,
                                       const std::vector<Backend>& backends);

}  // namespace tenon::runtime
