#include "compiler/gate.h"

#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "compiler/check_run.h"
#include "compiler/first_difference.h"
#include "compiler/oracle.h"
#include "metrics/error_stats.h"
#include "metrics/kl_divergence.h"
#include "runtime/session.h"

namespace tenon::compiler {
namespace {

struct Comparison {
  metrics::ErrorStats error;
  metrics::KldStats kld;
};

Comparison compare_logits(const Tensor& got, const Tensor& reference) {
  Comparison result;
  size_t count = static_cast<size_t>(got.count());
  result.error = metrics::compare({got.as<float>(), count}, {reference.as<float>(), count});
  size_t vocabulary = static_cast<size_t>(got.view().columns());
  metrics::KldAccumulator kld;
  for (size_t row = 0; row < count / vocabulary; ++row) {
    kld.add_row({got.as<float>() + row * vocabulary, vocabulary},
                {reference.as<float>() + row * vocabulary, vocabulary});
  }
  result.kld = kld.finish();
  return result;
}

data::Json to_json(const Comparison& c) {
  data::Json json = data::Json::object();
  json.set("rows", c.kld.rows)
      .set("max_error", c.error.max_abs)
      .set("mean_error", c.error.mean_abs);
  json.set("median_error", c.error.median_abs).set("logits_rms", c.error.reference_rms);
  json.set("max_error_over_rms", c.error.max_abs / c.error.reference_rms);
  json.set("relative_norm", c.error.relative_norm);
  json.set("mean_kld", c.kld.mean).set("median_kld", c.kld.median).set("p99_kld", c.kld.p99);
  json.set("max_kld", c.kld.max)
      .set("same_top", c.kld.same_top)
      .set("decided_rows", c.kld.decided_rows);
  json.set("nonfinite", c.error.nonfinite);
  return json;
}

// Whether `failures` of `rows` rows speak against a true failure rate of at most `rate`: the chance
// of as many or more is below 0.1 %. A share of 99.5 % cannot be read off 130 rows by counting
// alone.
bool speaks_against(int64_t failures, int64_t rows, double rate) {
  if (failures == 0) return false;
  if (rate <= 0) return true;
  double term = std::pow(1 - rate, static_cast<double>(rows)), below = 0;
  for (int64_t k = 0; k < failures; ++k) {
    below += term;
    term *= static_cast<double>(rows - k) / static_cast<double>(k + 1) * rate / (1 - rate);
  }
  return 1 - below < 1e-3;
}

void hold(const Comparison& c, const GateBudget& budget, std::string_view against,
          GateResult& result) {
  auto fail = [&](std::string_view what, double got, std::string_view relation, double limit) {
    result.failures.push_back(std::string(what) + " against " + std::string(against) + " is " +
                              format_double(got) + ", budget " + std::string(relation) + " " +
                              format_double(limit));
  };
  if (c.error.nonfinite > 0)
    result.failures.push_back("logits against " + std::string(against) + " are not finite");
  double error = c.error.max_abs / c.error.reference_rms;
  if (budget.max_error_over_rms > 0 && !(error <= budget.max_error_over_rms)) {
    fail("largest error over RMS", error, "at most", budget.max_error_over_rms);
  }
  if (budget.max_mean_kld > 0 && !(c.kld.mean <= budget.max_mean_kld)) {
    fail("mean KL divergence", c.kld.mean, "at most", budget.max_mean_kld);
  }
  double different = std::round((1 - c.kld.same_top) * static_cast<double>(c.kld.decided_rows));
  if (c.kld.decided_rows > 0 && speaks_against(static_cast<int64_t>(different), c.kld.decided_rows,
                                               1 - budget.min_same_top)) {
    fail("share of same top tokens", c.kld.same_top, "at least", budget.min_same_top);
  }
}

DType precision_of(const plan::Plan& plan) {
  return dtype_from_name(plan.precision.get_string("dtype", "f32")).value_or(DType::F32);
}

void name_first_bad(runtime::Session& plan, const LoweredPlan& oracle,
                    CheckpointConstants& constants, const CheckData& data, GateResult& result) {
  runtime::Session oracle_session(oracle.plan, constants);
  DType precision = precision_of(plan.plan());
  Differences differences = find_first_difference(plan, oracle_session, data, precision);
  std::string against = "the oracle";
  // Faithful to its own import, but not to the original: the import is at fault.
  if (differences.first_bad < 0 && !data.layers.empty()) {
    differences = find_first_golden_difference(plan, data, precision);
    against = "the golden tensors";
  }
  if (differences.first_bad < 0) return;
  const TensorDifference& bad = differences.tensors[differences.first_bad];
  result.first_bad = bad.name;
  data::Json json = data::Json::object();
  json.set("tensor", bad.name).set("against", against).set("relative_norm", bad.relative_norm);
  json.set("nonfinite", bad.nonfinite)
      .set("tensors_before_it", static_cast<int64_t>(differences.first_bad));
  result.report.set("first_bad", std::move(json));
}

}  // namespace

GateBudget default_budget(DType precision) {
  if (precision == DType::F16) return {0, 1e-4, 0.995, false};
  if (precision == DType::BF16) return {0, 1e-3, 0.99, false};
  return {1e-4, 0, 0.995, false};
}

GateBudget quantised_budget(const passes::Quantisation& quantisation) {
  if (quantisation.weights.codes == DType::U4) {
    return {0, quantisation.x_codes.empty() ? 0.08 : 0.09, 0.85, false};
  }
  return {0, 0.01, 0.95, false};
}

data::Json to_json(const GateBudget& budget) {
  data::Json json = data::Json::object();
  if (budget.max_error_over_rms > 0) json.set("max_error_over_rms", budget.max_error_over_rms);
  if (budget.max_mean_kld > 0) json.set("max_mean_kld", budget.max_mean_kld);
  json.set("min_same_top", budget.min_same_top).set("loosened", budget.loosened);
  return json;
}

OracleRun run_oracle(const LoweredPlan& oracle, const WeightSource& weights,
                     const CheckData& data) {
  CheckpointConstants constants(weights, oracle.recipes);
  runtime::Session session(oracle.plan, constants);
  RangeRecorder ranges(session.stage("decoder").stage());
  OracleRun result;
  result.logits = run_check(session, data, [&](size_t step, std::span<const TensorView> outputs) {
    ranges.add(step, outputs);
    return false;
  });
  result.ranges = ranges.take();
  return result;
}

GateResult compare_with_oracle(const Tensor& got, const Tensor& reference,
                               const GateBudget& budget) {
  GateResult result;
  Comparison comparison = compare_logits(got, reference);
  result.report.set("budget", to_json(budget)).set("against_oracle", to_json(comparison));
  hold(comparison, budget, "the fp32 oracle", result);
  result.passed = result.failures.empty();
  result.report.set("passed", result.passed);
  return result;
}

GateBudget budget_of(const plan::Plan& plan) {
  const data::Json& json = plan.budgets;
  GateBudget budget{json.get_double("max_error_over_rms", 0), json.get_double("max_mean_kld", 0),
                    json.get_double("min_same_top", 0), json.get_bool("loosened", false)};
  bool holds = budget.max_error_over_rms > 0 || budget.max_mean_kld > 0;
  if (holds && budget.min_same_top > 0) return budget;
  throw Error(ErrorCode::BadInput, "the plan says no budget").at("budgets").got(json.dump());
}

GateResult run_gate(const GateTask& task) {
  const CheckData& data = task.data;
  // The oracle's session is gone: caches and arenas of both at once would double the memory.
  auto session = runtime::Session::open(task.file, {.devices = {task.device}});
  Tensor got = run_check(*session, data);

  GateResult result = compare_with_oracle(got, task.reference.logits, task.budget);
  result.proof_level = data.logits ? "golden" : "self";
  result.report.set("proof", result.proof_level).set("check_data", data.origin);
  result.report.set("sequences", static_cast<int64_t>(data.seq_offsets.size() - 1));
  result.report.set("tokens", static_cast<int64_t>(data.ids.size()));
  if (data.logits) {
    Comparison golden = compare_logits(got, *data.logits);
    result.report.set("against_golden", to_json(golden));
    hold(golden, task.budget, "the golden logits", result);
  }
  result.passed = result.failures.empty();
  if (!result.passed) {
    CheckpointConstants constants(task.weights, task.oracle.recipes);
    name_first_bad(*session, task.oracle, constants, data, result);
  }
  result.report.set("passed", result.passed);
  result.report.set("device", session->device().description());
  result.report.set("fingerprint", session->device().fingerprint());
  return result;
}

}  // namespace tenon::compiler
