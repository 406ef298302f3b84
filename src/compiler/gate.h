#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "compiler/check_data.h"
#include "compiler/lower.h"
#include "data/json.h"
#include "plan/plan_file.h"

namespace tenon::compiler {

// What a plan may differ from its oracle. Loosened values are recorded in the plan.
struct GateBudget {
  double max_error_over_rms =
      0;                    // f32: largest logit error over the RMS of the logits; 0: not held
  double max_mean_kld = 0;  // 16-bit: mean KL divergence in nats; 0: not held
  double min_same_top = 0;  // share of decided rows with the same top token
  bool loosened = false;
};
GateBudget default_budget(DType precision);
data::Json to_json(const GateBudget& budget);

struct GateResult {
  bool passed = false;
  std::string proof_level;  // "self": against its own import; "golden": against the original
  std::string first_bad;    // the first tensor that differs, in the model's own names; empty: none
  std::vector<std::string> failures;  // one line a broken budget
  data::Json report = data::Json::object();
};

// Runs the finished plan and its fp32 oracle (the unfused graph on the fp32 CPU kernels, weights
// from the checkpoint) over the check data and holds the difference against the budget.
GateResult run_gate(std::shared_ptr<const plan::PlanFile> file, const LoweredPlan& oracle,
                    const WeightSource& weights, const CheckData& data, const GateBudget& budget);

}  // namespace tenon::compiler
