#include "compiler/tune_steps.h"

#include <algorithm>
#include <limits>
#include <map>

#include "base/error.h"
#include "runtime/step_signature.h"

namespace tenon::compiler {
namespace {

using runtime::Candidate;

struct Measured {
  Candidate candidate;
  double seconds = 0;
  std::string failure;  // why it has no time
};

std::string name_of(const Candidate& candidate) {
  std::string name(candidate.implementation->name);
  return candidate.variant.empty() ? name : name + " " + candidate.variant;
}

// The scalar reference is far slower than anything else; it stands last and is measured only where
// it is the choice.
void put_standard_first(const ops::OpDesc& desc, const std::vector<runtime::Backend>& backends,
                        std::vector<Candidate>& candidates) {
  const ops::Implementation* chosen = nullptr;
  for (const runtime::Backend& backend : backends) {
    if (!chosen) chosen = ops::choose_implementation(backend.implementations, desc).implementation;
  }
  std::erase_if(candidates, [&](const Candidate& candidate) {
    return candidate.device == "reference" && candidate.implementation != chosen;
  });
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (candidates[i].implementation != chosen || !candidates[i].variant.empty()) continue;
    std::rotate(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(i),
                candidates.begin() + static_cast<std::ptrdiff_t>(i) + 1);
  }
}

// Where there is a choice.
std::vector<StepGroup> groups_of(runtime::StageRunner& runner, const SymbolValues& symbols) {
  const plan::Stage& stage = runner.stage();
  SymbolValues bounds = runner.bounds_of(symbols);
  std::map<std::string, StepGroup> groups;
  for (size_t i = 0; i < stage.steps.size(); ++i) {
    ops::OpDesc desc = runtime::describe_step(stage, stage.steps[i], bounds);
    std::string signature = runtime::step_signature(stage, stage.steps[i], desc);
    StepGroup& group = groups[signature];
    group.steps.push_back(i);
    if (group.steps.size() > 1) continue;
    group.signature = signature;
    group.op = stage.steps[i].op;
    group.first_module = stage.steps[i].module;
    group.candidates = runtime::find_candidates(desc, runner.backends());
    put_standard_first(desc, runner.backends(), group.candidates);
  }
  std::vector<StepGroup> wanted;
  for (auto& [signature, group] : groups) {
    if (group.candidates.size() > 1) wanted.push_back(std::move(group));
  }
  return wanted;
}

data::Json to_json(const data::Json& size, const StepGroup& group, const std::vector<Measured>& all,
                   const Measured& chosen) {
  data::Json candidates = data::Json::array();
  for (const Measured& measured : all) {
    data::Json entry = data::Json::object();
    entry.set("name", name_of(measured.candidate));
    if (measured.failure.empty()) {
      entry.set("seconds", measured.seconds);
    } else {
      entry.set("failure", measured.failure);
    }
    candidates.push_back(std::move(entry));
  }
  data::Json json = data::Json::object();
  json.set("step", group.signature).set("op", group.op).set("first", group.first_module);
  json.set("steps", static_cast<int64_t>(group.steps.size()));
  for (const auto& [name, value] : size.as_object("size")) json.set(name, value);
  json.set("standard", name_of(all[0].candidate)).set("chosen", name_of(chosen.candidate));
  return json.set("candidates", std::move(candidates));
}

}  // namespace

int64_t StepTuner::count(runtime::StageRunner& runner, const SymbolValues& symbols) {
  int64_t count = 0;
  for (const StepGroup& group : groups_of(runner, symbols)) {
    if (counted_.insert(group.signature).second)
      count += static_cast<int64_t>(group.candidates.size());
  }
  return count;
}

std::vector<StepGroup> StepTuner::left_to_tune(runtime::StageRunner& runner,
                                               const SymbolValues& symbols) {
  std::vector<StepGroup> groups = groups_of(runner, symbols);
  std::erase_if(groups, [&](const StepGroup& group) { return tuned_.count(group.signature) > 0; });
  return groups;
}

void StepTuner::tune(runtime::StageRunner& runner, const std::vector<StepGroup>& groups,
                     const data::Json& size) {
  for (const StepGroup& group : groups) {
    tune_group(runner, group, size);
    tuned_.insert(group.signature);
  }
}

void StepTuner::tune_group(runtime::StageRunner& runner, const StepGroup& group,
                           const data::Json& size) {
  // The standard first: what is many times slower need not be measured well.
  constexpr double kHopeless = 4, kStartSeconds = 30e-6;
  double least = std::numeric_limits<double>::infinity();
  std::vector<Measured> all;
  for (const Candidate& candidate : group.candidates) {
    Measured measured{candidate, 0, ""};
    try {
      double give_up = kHopeless * least + kStartSeconds;
      measured.seconds = runner.time_steps(group.steps, candidate, rounds_, give_up) /
                         static_cast<double>(group.steps.size());
      least = std::min(least, measured.seconds);
    } catch (const Error& error) {
      // A candidate that does not run here is no error of tuning; a broken device is.
      if (error.code() == ErrorCode::DeviceFault) throw;
      measured.failure = error.what();
    }
    all.push_back(std::move(measured));
    progress_.advance(++done_);
  }
  const Measured& standard = all[0];
  const Measured* best = &standard;
  for (const Measured& measured : all) {
    if (!measured.failure.empty()) continue;
    if (!best->failure.empty() || measured.seconds < best->seconds) best = &measured;
  }
  bool worth = best != &standard && best->failure.empty() &&
               (!standard.failure.empty() || best->seconds < standard.seconds * (1 - least_gain_));
  if (worth) {
    tactics_.push_back({group.signature, std::string(best->candidate.implementation->name),
                        best->candidate.variant, name_of(standard.candidate), best->seconds,
                        standard.seconds, static_cast<int64_t>(group.steps.size())});
  }
  measurements_.push_back(to_json(size, group, all, worth ? *best : standard));
}

}  // namespace tenon::compiler
