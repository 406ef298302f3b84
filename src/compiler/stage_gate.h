#pragma once

#include "compiler/gate.h"
#include "compiler/stage_checks.h"

namespace tenon::compiler {

// What the stages of a plan may differ from the fp32 oracle's; 0: not held.
struct StageBudget {
  double max_error_over_rms = 0;  // f32: of each output
  double max_relative_norm = 0;   // 16-bit: |got - oracle| / |oracle| of each output
  double min_mask_iou = 0;        // of outputs whose signs are the answer
  bool loosened = false;
};
StageBudget default_stage_budget(DType precision);
data::Json to_json(const StageBudget& budget);
// The budget a plan was built with. Throws ErrorCode::BadInput where it says none.
StageBudget stage_budget_of(const plan::Plan& plan);

// Holds every output of every call of `checks` against the reference's.
GateResult compare_stages(const StageOutputs& got, const StageOutputs& reference,
                          const models::StageChecks& checks, const plan::Plan& plan,
                          const StageBudget& budget);

// The unfused graphs on the fp32 CPU kernels, weights from the checkpoint.
StageOutputs run_stage_oracle(const LoweredPlan& oracle, const WeightSource& weights,
                              const models::StageChecks& checks);

// Runs the finished plan on a device over the checks and holds every output of every call against
// the oracle's. An output out of budget in an early call spoils later ones: the first is named.
struct StageGateTask {
  std::shared_ptr<const plan::PlanFile> file;
  device::DeviceId device;
  const StageOutputs& reference;
  const models::StageChecks& checks;
  StageBudget budget;
};
GateResult run_stage_gate(const StageGateTask& task);

}  // namespace tenon::compiler
