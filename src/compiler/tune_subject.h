#pragma once

#include <memory>

#include "compiler/tune.h"
#include "compiler/tune_gate.h"
#include "compiler/tune_steps.h"
#include "plan/plan_file.h"

namespace tenon::compiler {

// What differs between plans that are tuned: the sizes in which stages run, and how the result is
// proven.
class TuneSubject {
 public:
  virtual ~TuneSubject() = default;
  virtual void measure(StepTuner& steps) = 0;
  virtual TuneGate prove(const plan::TacticSet& tactics) = 0;
};

// The decoder of a language plan: batches that decode, prompts. tune_language.cc
std::unique_ptr<TuneSubject> make_language_subject(std::shared_ptr<const plan::PlanFile> file,
                                                   const TuneOptions& options, Progress& progress);
// The stages that prove a plan of another pipeline, in sizes of their own. tune_stages.cc
std::unique_ptr<TuneSubject> make_stages_subject(std::shared_ptr<const plan::PlanFile> file,
                                                 const TuneOptions& options, Progress& progress);

// Throws ErrorCode::Usage where a size is not from 1 to `most`.
void check_sizes(const std::vector<int64_t>& sizes, const char* option, int64_t most);

}  // namespace tenon::compiler
