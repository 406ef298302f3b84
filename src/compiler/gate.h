#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "compiler/check_data.h"
#include "compiler/lower.h"
#include "compiler/ranges.h"
#include "data/json.h"
#include "device/device.h"
#include "passes/pipeline.h"
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
GateBudget quantised_budget(const passes::Quantisation& quantisation);
data::Json to_json(const GateBudget& budget);

struct GateResult {
  bool passed = false;
  std::string proof_level;  // "self": against its own import; "golden": against the original
  std::string first_bad;    // the first tensor that differs, in the model's own names; empty: none
  std::vector<std::string> failures;  // one line a broken budget
  data::Json report = data::Json::object();
};

// What a plan is compared with: the unfused graph on the fp32 CPU kernels, weights from the
// checkpoint, over the check data.
struct OracleRun {
  Tensor logits;                    // f32 [rows, vocabulary]
  std::vector<TensorRange> ranges;  // of every value
};
OracleRun run_oracle(const LoweredPlan& oracle, const WeightSource& weights, const CheckData& data);

// Holds logits [rows, vocabulary] of a device against those of the oracle: sets failures, passed
// and what `report` says of both.
GateResult compare_with_oracle(const Tensor& got, const Tensor& reference,
                               const GateBudget& budget);
// The budget a plan was built with. Throws ErrorCode::BadInput where it says none.
GateBudget budget_of(const plan::Plan& plan);

// Runs the finished plan on a device over the check data and holds its difference from the oracle
// against the budget. Where it fails the oracle runs again, to name the first bad tensor.
struct GateTask {
  std::shared_ptr<const plan::PlanFile> file;
  device::DeviceId device;
  const LoweredPlan& oracle;
  const OracleRun& reference;
  const WeightSource& weights;
  const CheckData& data;
  GateBudget budget;
};
GateResult run_gate(const GateTask& task);

}  // namespace tenon::compiler
