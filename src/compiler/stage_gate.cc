#include "compiler/stage_gate.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "compiler/oracle.h"
#include "metrics/error_stats.h"
#include "metrics/mask_iou.h"

namespace tenon::compiler {
namespace {

struct OutputComparison {
  std::string name, what;  // "mask_decoder.masks", "a click"
  metrics::ErrorStats error;
  std::optional<double> mask_iou;
};

std::span<const float> values(const Tensor& tensor) {
  return {tensor.as<float>(), static_cast<size_t>(tensor.count())};
}

OutputComparison compare_output(const Tensor& got, const Tensor& reference, bool signs) {
  OutputComparison result;
  result.error = metrics::compare(values(got), values(reference));
  if (signs) result.mask_iou = metrics::mask_overlap(values(got), values(reference)).iou();
  return result;
}

double over_rms(const metrics::ErrorStats& error) {
  // All zero and equal is no error; all zero and different is one without bound.
  return error.max_abs == 0 ? 0 : error.max_abs / error.reference_rms;
}

data::Json to_json(const OutputComparison& c) {
  data::Json json = data::Json::object();
  json.set("output", c.name).set("check", c.what);
  json.set("max_error_over_rms", over_rms(c.error)).set("relative_norm", c.error.relative_norm);
  if (c.mask_iou) json.set("mask_iou", *c.mask_iou);
  json.set("nonfinite", c.error.nonfinite);
  return json;
}

void hold(const OutputComparison& c, const StageBudget& budget, GateResult& result) {
  size_t before = result.failures.size();
  auto fail = [&](std::string_view what, double got, std::string_view relation, double limit) {
    result.failures.push_back(c.name + " (" + c.what + "): " + std::string(what) + " is " +
                              format_double(got) + ", budget " + std::string(relation) + " " +
                              format_double(limit));
  };
  if (c.error.nonfinite > 0) result.failures.push_back(c.name + " (" + c.what + ") is not finite");
  double error = over_rms(c.error), norm = c.error.relative_norm;
  if (budget.max_error_over_rms > 0 && !(error <= budget.max_error_over_rms))
    fail("largest error over RMS", error, "at most", budget.max_error_over_rms);
  if (budget.max_relative_norm > 0 && !(norm <= budget.max_relative_norm))
    fail("relative norm of the error", norm, "at most", budget.max_relative_norm);
  if (c.mask_iou && !(*c.mask_iou >= budget.min_mask_iou))
    fail("IoU of the masks", *c.mask_iou, "at least", budget.min_mask_iou);
  if (result.failures.size() > before && result.first_bad.empty()) result.first_bad = c.name;
}

const plan::Stage& stage_named(const plan::Plan& plan, const std::string& name) {
  auto found = std::find_if(plan.stages.begin(), plan.stages.end(),
                            [&](const plan::Stage& stage) { return stage.name == name; });
  if (found == plan.stages.end())
    throw Error(ErrorCode::BadInput, "the plan has no such stage").got(name);
  return *found;
}

std::string output_name(const plan::Stage& stage, size_t output) {
  const std::vector<std::string>& names = stage.values[stage.outputs[output]].names;
  return names.empty() ? std::to_string(output) : names[0];
}

// The worst of each figure over all outputs: what people read first.
data::Json worst_of(const std::vector<OutputComparison>& all) {
  double error = 0, norm = 0, iou = 1;
  bool masks = false;
  for (const OutputComparison& c : all) {
    error = std::max(error, over_rms(c.error));
    norm = std::max(norm, c.error.relative_norm);
    if (c.mask_iou) masks = true, iou = std::min(iou, *c.mask_iou);
  }
  data::Json json = data::Json::object();
  json.set("outputs", static_cast<int64_t>(all.size()));
  json.set("max_error_over_rms", error).set("relative_norm", norm);
  if (masks) json.set("mask_iou", iou);
  return json;
}

// The oracle runs on the CPU kernels; the scalar reference would take minutes for a large picture.
std::string_view what_it_proves(const device::Device& device) {
  if (device.is_host()) {
    return "types, fusions, packing and binding: the oracle is the unfused fp32 graph on the same "
           "CPU kernels, so a wrong kernel would be wrong in both; those are held to the scalar "
           "reference by the conformance tests";
  }
  return "this device's kernels, types, fusions, packing and binding against the unfused fp32 "
         "graph "
         "on the CPU kernels";
}

}  // namespace

// 16-bit: rounding of some hundred products that follow each other. Measured on the tiny random
// model, whose logits are noise around zero: the hardest case for signs.
StageBudget default_stage_budget(DType precision) {
  if (precision == DType::F16) return {0, 3e-3, 0.99, false};
  if (precision == DType::BF16) return {0, 2.4e-2, 0.95, false};
  return {1e-3, 0, 0.999, false};
}

data::Json to_json(const StageBudget& budget) {
  data::Json json = data::Json::object();
  if (budget.max_error_over_rms > 0) json.set("max_error_over_rms", budget.max_error_over_rms);
  if (budget.max_relative_norm > 0) json.set("max_relative_norm", budget.max_relative_norm);
  json.set("min_mask_iou", budget.min_mask_iou).set("loosened", budget.loosened);
  return json;
}

StageBudget stage_budget_of(const plan::Plan& plan) {
  const data::Json& json = plan.budgets;
  StageBudget budget{json.get_double("max_error_over_rms", 0),
                     json.get_double("max_relative_norm", 0), json.get_double("min_mask_iou", 0),
                     json.get_bool("loosened", false)};
  bool holds = budget.max_error_over_rms > 0 || budget.max_relative_norm > 0;
  if (holds && budget.min_mask_iou > 0) return budget;
  throw Error(ErrorCode::BadInput, "the plan says no budget").at("budgets").got(json.dump());
}

StageOutputs run_stage_oracle(const LoweredPlan& oracle, const WeightSource& weights,
                              const models::StageChecks& checks) {
  CheckpointConstants constants(weights, oracle.recipes);
  runtime::Session session(oracle.plan, constants);
  return run_checks(session, checks, Ranges::Yes);
}

GateResult compare_stages(const StageOutputs& got, const StageOutputs& reference,
                          const models::StageChecks& checks, const plan::Plan& plan,
                          const StageBudget& budget) {
  GateResult result;
  std::vector<OutputComparison> all;
  data::Json outputs = data::Json::array();
  const std::vector<std::string>& signs = checks.sign_outputs;
  for (size_t i = 0; i < checks.calls.size(); ++i) {
    const models::CheckCall& call = checks.calls[i];
    const plan::Stage& stage = stage_named(plan, call.stage);
    for (size_t j = 0; j < got.calls.at(i).size(); ++j) {
      std::string name = output_name(stage, j);
      bool is_signs = std::find(signs.begin(), signs.end(), name) != signs.end();
      OutputComparison comparison =
          compare_output(got.calls[i][j], reference.calls.at(i).at(j), is_signs);
      comparison.name = call.stage + "." + name;
      comparison.what = call.what;
      hold(comparison, budget, result);
      outputs.push_back(to_json(comparison));
      all.push_back(std::move(comparison));
    }
  }
  result.passed = result.failures.empty();
  result.report.set("check_data", checks.origin).set("budget", to_json(budget));
  result.report.set("against_oracle", worst_of(all)).set("outputs", std::move(outputs));
  result.report.set("passed", result.passed);
  if (!result.first_bad.empty()) result.report.set("first_bad", result.first_bad);
  return result;
}

GateResult run_stage_gate(const StageGateTask& task) {
  auto session = runtime::Session::open(task.file, {.devices = {task.device}});
  StageOutputs got = run_checks(*session, task.checks);
  GateResult result =
      compare_stages(got, task.reference, task.checks, session->plan(), task.budget);
  result.proof_level = "self";
  result.report.set("proves", what_it_proves(session->device()));
  result.report.set("proof", result.proof_level);
  result.report.set("device", session->device().description());
  result.report.set("fingerprint", session->device().fingerprint());
  return result;
}

}  // namespace tenon::compiler
