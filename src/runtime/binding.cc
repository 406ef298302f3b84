#include "runtime/binding.h"

#include <algorithm>

#include "base/checked.h"
#include "base/error.h"
#include "base/text.h"
#include "ops/attention.h"
#include "ops/reshape.h"
#include "ops/slice.h"
#include "runtime/active_tactics.h"
#include "runtime/step_signature.h"

namespace tenon::runtime {
namespace {

// What the tactic names, or nullptr with the reason noted.
const ops::Implementation* follow(const plan::Tactic& tactic, const ops::OpDesc& desc,
                                  const std::vector<Backend>& backends, ActiveTactics& tactics,
                                  StepChoice& choice) {
  for (const Backend& backend : backends) {
    for (const ops::Implementation* candidate : backend.implementations) {
      if (candidate->name != tactic.implementation) continue;
      std::string reason;
      if (candidate->op != desc.op || candidate->version != desc.version) {
        reason = "it does another op";
      } else if (ops::Support support = candidate->supports(desc); !support.ok) {
        reason = support.reason;
      } else if (!tactic.variant.empty()) {
        std::vector<std::string> known;
        if (candidate->variants) known = candidate->variants(desc);
        bool has = std::find(known.begin(), known.end(), tactic.variant) != known.end();
        if (!has) reason = "it has no such variant here";
      }
      if (reason.empty()) {
        choice.device = backend.device;
        return candidate;
      }
      tactics.refused(tactic, reason);
      choice.refused.push_back("tactic " + tactic.implementation + ": " + reason);
      return nullptr;
    }
  }
  return nullptr;
}

// By the lists, best first.
const ops::Implementation* first_of(const ops::OpDesc& desc, const std::vector<Backend>& backends,
                                    StepChoice& choice) {
  for (const Backend& backend : backends) {
    ops::Choice found = ops::choose_implementation(backend.implementations, desc);
    choice.refused.insert(choice.refused.end(), found.refused.begin(), found.refused.end());
    if (!found.implementation) continue;
    choice.device = backend.device;
    return found.implementation;
  }
  return nullptr;
}

void add_step(Binding& binding, const plan::Stage& stage, const plan::Step& step,
              const std::vector<Backend>& backends, ActiveTactics* tactics, Problems& problems) {
  StepChoice choice;
  choice.step = binding.steps.size();
  choice.op = step.op;
  choice.module = step.module;
  ops::OpDesc desc = describe_step(stage, step, binding.bounds);
  const ops::Implementation* chosen = nullptr;
  if (tactics && tactics->size() > 0) {
    if (const plan::Tactic* tactic = tactics->find(step_signature(stage, step, desc))) {
      desc.by_tactic = true;
      desc.variant = tactic->variant;
      chosen = follow(*tactic, desc, backends, *tactics, choice);
      choice.by_tactic = chosen != nullptr;
      if (chosen) choice.variant = tactic->variant;
    }
  }
  if (!chosen) {
    desc.by_tactic = false;
    desc.variant.clear();
    chosen = first_of(desc, backends, choice);
  }
  BoundStep bound;
  if (!chosen) {
    problems.add(Error(ErrorCode::Unsupported, "no implementation of this step")
                     .at(step.module)
                     .at(step.op)
                     .got(choice.refused.empty() ? "no candidate" : join(choice.refused, ", ")));
  } else {
    choice.implementation = chosen->name;
    bound = bind_step(*chosen, desc);
  }
  binding.workspace_bytes = std::max(binding.workspace_bytes, bound.workspace_bytes);
  binding.steps.push_back(std::move(bound));
  binding.choices.push_back(std::move(choice));
}

// Whether all that reads a value is attention, as q, k or v, which lie in rows of any distance.
bool only_attended(const plan::Stage& stage, int32_t value) {
  bool read = false;
  for (const plan::Step& step : stage.steps) {
    for (size_t port = 0; port < step.inputs.size(); ++port) {
      if (step.inputs[port] != value) continue;
      if (step.op != ops::Attention::kName || port > 2) return false;
      read = true;
    }
  }
  return read &&
         std::find(stage.outputs.begin(), stage.outputs.end(), value) == stage.outputs.end();
}

std::vector<int32_t> find_views(const plan::Stage& stage) {
  std::vector<int32_t> shows(stage.values.size(), -1);
  auto in_arena = [&](int32_t value) {
    return stage.values[value].role == plan::ValueRole::Intermediate;
  };
  std::vector<bool> is_part(stage.values.size(), false);
  for (const plan::Step& step : stage.steps) {
    bool reshape = step.op == ops::Reshape::kName, part = step.op == ops::Slice::kName;
    if (!reshape && !part) continue;
    int32_t from = step.inputs[0], to = step.outputs[0];
    if (from < 0 || !in_arena(from) || !in_arena(to) || is_part[from]) continue;
    if (part) {
      auto op = ops::read_attributes<ops::Slice>(step.attributes);
      bool last = op.axis + 1 == static_cast<int64_t>(stage.values[from].type.shape.size());
      if (!last || !only_attended(stage, to)) continue;
      is_part[to] = true;
    }
    shows[to] = from;
  }
  return shows;
}

}  // namespace

BoundStep bind_step(const ops::Implementation& implementation, const ops::OpDesc& desc) {
  BoundStep bound;
  bound.implementation = &implementation;
  if (implementation.prepare) bound.prepared = implementation.prepare(desc);
  if (implementation.workspace_bytes) bound.workspace_bytes = implementation.workspace_bytes(desc);
  return bound;
}

std::vector<Candidate> find_candidates(const ops::OpDesc& desc,
                                       const std::vector<Backend>& backends) {
  ops::OpDesc asked = desc;
  asked.by_tactic = true;
  std::vector<Candidate> candidates;
  for (const Backend& backend : backends) {
    for (const ops::Implementation* implementation : backend.implementations) {
      if (implementation->op != desc.op || implementation->version != desc.version) continue;
      if (!implementation->supports(asked).ok) continue;
      candidates.push_back({implementation, "", backend.device});
      if (!implementation->variants) continue;
      for (std::string& variant : implementation->variants(asked)) {
        candidates.push_back({implementation, std::move(variant), backend.device});
      }
    }
  }
  return candidates;
}

Binding bind_stage(const plan::Stage& stage, const SymbolValues& bounds,
                   const std::vector<Backend>& backends, ActiveTactics* tactics) {
  Binding binding;
  binding.bounds = bounds;
  binding.shows = find_views(stage);
  Problems problems;
  for (const plan::Step& step : stage.steps) {
    add_step(binding, stage, step, backends, tactics, problems);
  }
  problems.throw_if_any();

  // Memory that others show lives as long as they do. Views come after what they show.
  std::vector<int32_t> last_steps;
  for (const plan::ValueInfo& value : stage.values) last_steps.push_back(value.last_step);
  for (size_t i = stage.steps.size(); i-- > 0;) {
    if (!binding.is_view(stage.steps[i])) continue;
    int32_t to = stage.steps[i].outputs[0], from = binding.shows[to];
    last_steps[from] = std::max(last_steps[from], last_steps[to]);
  }
  std::vector<BufferNeed> needs;
  std::vector<size_t> owners;
  for (size_t i = 0; i < stage.values.size(); ++i) {
    const plan::ValueInfo& value = stage.values[i];
    if (value.role != plan::ValueRole::Intermediate || binding.shows[i] >= 0) continue;
    Extents extents = evaluate(value.type.shape, bounds);
    int64_t bytes = dtype_bytes(value.type.dtype, checked_product(extents.span(), "intermediate"));
    // Every buffer is at least one line, so that a zero-sized value still has an address.
    needs.push_back({std::max<int64_t>(bytes, 64), value.first_step, last_steps[i]});
    owners.push_back(i);
  }
  ArenaLayout layout = lay_out_arena(needs);
  binding.offsets.assign(stage.values.size(), -1);
  for (size_t i = 0; i < owners.size(); ++i) binding.offsets[owners[i]] = layout.offsets[i];
  binding.arena_bytes = layout.bytes;
  return binding;
}

}  // namespace tenon::runtime
