#pragma once

#include <map>
#include <string>
#include <vector>

#include "data/json.h"
#include "plan/plan_file.h"
#include "report/page.h"

namespace tenon::report {

// Measurements of another run to stand beside the plan's: a document of `tenon bench --json`, or of
// another program with "rows" of the same fields ("batch", "prompt_tokens", "new_tokens" and
// "first_token_seconds", "per_token_seconds" as numbers or {"p50"}, "tokens_per_second").
struct Baseline {
  std::string name;
  data::Json document;
};

struct ReportInputs {
  const plan::PlanFile* file = nullptr;
  std::string tenon;                  // version
  std::vector<std::string> machine;   // lines about where it was measured
  std::vector<std::string> commands;  // that make the figures again
  // What the verbs print with --json, at most one a verb but any number of evals; others are listed
  // as not used.
  std::vector<data::Json> documents;
  std::vector<Baseline> baselines;
  // The overlays that documents of `run` name, by their path, as data: URIs.
  std::map<std::string, std::string> drawings;
};

// The template of the contests: what it is, how to make it again, environment, accuracy, speed
// beside the baselines, where the time goes, what is proven. Throws ErrorCode::BadInput where a
// document is not what it says.
Page plan_report(const ReportInputs& inputs);

}  // namespace tenon::report
