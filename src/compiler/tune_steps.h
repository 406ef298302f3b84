#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/progress.h"
#include "data/json.h"
#include "plan/tactics.h"
#include "runtime/stage_runner.h"

namespace tenon::compiler {

// Steps of one signature in one size, and what can run them.
struct StepGroup {
  std::string signature, op, first_module;
  std::vector<size_t> steps;
  std::vector<runtime::Candidate> candidates;  // first the one that the lists' order takes
};

// Measures what the steps of stages can run on, each signature once, and keeps what is faster than
// the plan's own order of preference.
class StepTuner {
 public:
  // A tactic must be faster by the share `least_gain`; `rounds` of each measurement count.
  StepTuner(double least_gain, int rounds, Progress& progress)
      : least_gain_(least_gain), rounds_(rounds), progress_(progress) {}

  // Measurements that tune() will make in this size: each signature is counted once.
  int64_t count(runtime::StageRunner& runner, const SymbolValues& symbols);
  // The steps of a size that were not measured yet. They work on what the stage's last run, which
  // was of this size, left behind. `size` says in the report what that was.
  std::vector<StepGroup> left_to_tune(runtime::StageRunner& runner, const SymbolValues& symbols);
  void tune(runtime::StageRunner& runner, const std::vector<StepGroup>& groups,
            const data::Json& size);

  const std::vector<plan::Tactic>& tactics() const { return tactics_; }
  // Every candidate with its time.
  const std::vector<data::Json>& measurements() const { return measurements_; }

 private:
  void tune_group(runtime::StageRunner& runner, const StepGroup& group, const data::Json& size);

  double least_gain_;
  int rounds_;
  Progress& progress_;
  int64_t done_ = 0;
  std::set<std::string> counted_, tuned_;  // signatures
  std::vector<plan::Tactic> tactics_;
  std::vector<data::Json> measurements_;
};

}  // namespace tenon::compiler
