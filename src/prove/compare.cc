#include "prove/compare.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "compiler/check_run.h"
#include "compiler/gate.h"
#include "ops/quantised_linear.h"
#include "pipelines/llm/model_info.h"
#include "plan/plan_file.h"
#include "prove/original.h"

namespace tenon::prove {
namespace {

DType precision_of(const plan::Plan& plan) {
  return dtype_from_name(plan.precision.get_string("dtype", "f32")).value_or(DType::F32);
}

bool is_golden(const std::string& path) {
  return path.ends_with(".safetensors");
}

// What check data asks of a model, from the plan: it need not be imported again.
compiler::ImportedModel model_of(const plan::Plan& plan, const llm::ModelInfo& info) {
  compiler::ImportedModel model;
  model.model.language.vocabulary = info.vocabulary;
  model.tokenizer = llm::make_tokenizer(plan);
  return model;
}

bool is_quantised(const plan::Plan& plan) {
  for (const plan::Stage& stage : plan.stages) {
    for (const plan::Step& step : stage.steps)
      if (step.op == ops::QuantisedLinear::kName) return true;
  }
  return false;
}

compiler::CheckData data_for(const CompareOptions& options, const plan::Plan& plan,
                             const llm::ModelInfo& info) {
  compiler::ImportedModel model = model_of(plan, info);
  if (is_golden(options.against)) return compiler::read_golden_file(options.against, model);
  std::string check_file = options.check_file;
  // As the gate judged the plan.
  if (check_file.empty() && is_quantised(plan))
    check_file = compiler::own_check_file(options.against);
  if (check_file.empty()) return compiler::built_in_check_data(model, info.max_seq_len);
  return compiler::read_check_file(check_file, model, info.max_seq_len);
}

void compare_logits(const Tensor& got, const Tensor& reference, Comparison& comparison) {
  auto count = static_cast<size_t>(got.count());
  comparison.logits = metrics::compare({got.as<float>(), count}, {reference.as<float>(), count});
  auto columns = static_cast<size_t>(got.view().columns());
  metrics::KldAccumulator kld;
  for (size_t row = 0; row < count / columns; ++row) {
    kld.add_row({got.as<float>() + row * columns, columns},
                {reference.as<float>() + row * columns, columns});
  }
  comparison.kld = kld.finish();
}

// The budgets of the plan's own gate, unless others were given.
compiler::GateBudget budget_for(const CompareOptions& options, const plan::Plan& plan) {
  compiler::GateBudget budget = compiler::default_budget(precision_of(plan));
  budget.max_error_over_rms =
      plan.budgets.get_double("max_error_over_rms", budget.max_error_over_rms);
  budget.max_mean_kld = plan.budgets.get_double("max_mean_kld", budget.max_mean_kld);
  // Its share of same tops is judged by the gate with the number of rows; here only on request.
  budget.min_same_top = options.min_same_top.value_or(0);
  if (options.max_error) budget.max_error_over_rms = *options.max_error;
  if (options.max_kld) budget.max_mean_kld = *options.max_kld;
  return budget;
}

void hold(Comparison& comparison, const compiler::GateBudget& budget) {
  auto fail = [&](std::string_view what, double got, std::string_view relation, double limit) {
    comparison.failures.push_back(std::string(what) + " is " + format_double(got) + ", budget " +
                                  std::string(relation) + " " + format_double(limit));
  };
  if (comparison.logits.nonfinite > 0) comparison.failures.push_back("logits are not finite");
  double error = comparison.logits.max_abs / comparison.logits.reference_rms;
  if (budget.max_error_over_rms > 0 && !(error <= budget.max_error_over_rms)) {
    fail("largest logit error over RMS", error, "at most", budget.max_error_over_rms);
  }
  if (budget.max_mean_kld > 0 && !(comparison.kld.mean <= budget.max_mean_kld)) {
    fail("mean KL divergence", comparison.kld.mean, "at most", budget.max_mean_kld);
  }
  if (!(comparison.kld.same_top >= budget.min_same_top)) {
    fail("share of same top tokens", comparison.kld.same_top, "at least", budget.min_same_top);
  }
}

// Of the squared error that the budget leaves room for. KL divergence grows with its square.
double wanted_share(const Comparison& comparison, const compiler::GateBudget& budget) {
  if (comparison.failures.empty()) return 1;
  double share = 0;
  if (budget.max_mean_kld > 0 && std::isfinite(comparison.kld.mean)) {
    share = std::min(budget.max_mean_kld / comparison.kld.mean, 0.99);
  }
  return share;
}

struct Sides {
  std::unique_ptr<runtime::Session> plan;
  std::unique_ptr<Reference> reference;  // none where it is a golden file
};

Sides open_sides(const CompareOptions& options, const std::shared_ptr<const plan::PlanFile>& file,
                 const llm::ModelInfo& info, Comparison& comparison) {
  Sides sides;
  sides.plan = runtime::Session::open(file, {.devices = {options.device}});
  comparison.device = sides.plan->device().description();
  if (is_golden(options.against)) {
    comparison.against = data::Json::object();
    comparison.against.set("path", options.against).set("kind", "golden").set("dtype", "f32");
    return sides;
  }
  llm::EngineOptions engine;
  engine.device = options.against_device;
  engine.max_batch_size = 1;
  engine.max_seq_len = is_directory(options.against) ? info.max_seq_len : 0;
  sides.reference = open_reference(options.against, engine);
  comparison.against = sides.reference->describe();
  if (sides.reference->engine().model().vocabulary != info.vocabulary) {
    throw Error(ErrorCode::BadInput, "plan and reference have different vocabularies")
        .got(std::to_string(info.vocabulary))
        .accepted(std::to_string(sides.reference->engine().model().vocabulary));
  }
  return sides;
}

void compare_layers(const CompareOptions& options, const compiler::CheckData& data, Sides& sides,
                    DType precision, Comparison& comparison) {
  ReferenceTensors reference;
  compiler::CheckData first =
      compiler::first_sequence(data, static_cast<size_t>(std::max<int64_t>(options.tokens, 1)));
  if (sides.reference) {
    reference = capture_tensors(sides.reference->engine().session().stage("decoder"), first);
  } else {
    reference = golden_tensors(data, static_cast<int64_t>(first.ids.size()));
  }
  comparison.layers = compare_tensors(sides.plan->stage("decoder"), first, reference, precision);
}

}  // namespace

Comparison compare(const CompareOptions& options, Progress& progress) {
  Comparison comparison;
  auto file = plan::PlanFile::open(options.plan);
  const plan::Plan& plan = file->plan();
  llm::ModelInfo info = llm::read_model_info(plan);
  compiler::CheckData data = data_for(options, plan, info);
  Sides sides = open_sides(options, file, info, comparison);
  comparison.check_data = data.origin;
  comparison.dtype = dtype_name(precision_of(plan));
  comparison.sequences = static_cast<int64_t>(data.seq_offsets.size()) - 1;
  comparison.tokens = static_cast<int64_t>(data.ids.size());

  progress.begin("comparing outputs", 2);
  Tensor got = compiler::run_check(*sides.plan, data);
  progress.advance(1);
  if (sides.reference) {
    compare_logits(got, compiler::run_check(sides.reference->engine().session(), data), comparison);
  } else {
    compare_logits(got, *data.logits, comparison);
  }
  progress.end();
  compiler::GateBudget budget = budget_for(options, plan);
  hold(comparison, budget);
  if (options.layers) {
    progress.begin("comparing layers", 1);
    compare_layers(options, data, sides, precision_of(plan), comparison);
    comparison.repair = suggest_repair(sides.plan->stage("decoder").stage(), *comparison.layers,
                                       precision_of(plan), wanted_share(comparison, budget));
    progress.end();
  }
  return comparison;
}

data::Json to_json(const metrics::ErrorStats& stats) {
  data::Json json = data::Json::object();
  json.set("count", stats.count).set("max_abs", stats.max_abs).set("mean_abs", stats.mean_abs);
  json.set("median_abs", stats.median_abs).set("p99_abs", stats.p99_abs);
  json.set("max_rel", stats.max_rel).set("mean_rel", stats.mean_rel);
  json.set("median_rel", stats.median_rel).set("p99_rel", stats.p99_rel);
  json.set("reference_rms", stats.reference_rms).set("relative_norm", stats.relative_norm);
  json.set("worst_index", stats.worst_index).set("nonfinite", stats.nonfinite);
  return json;
}

namespace {

data::Json to_json(const ComparedTensor& tensor) {
  data::Json json = data::Json::object();
  json.set("tensor", tensor.name).set("step", static_cast<int64_t>(tensor.step));
  json.set("op", tensor.op).set("module", tensor.module).set("dtype", dtype_name(tensor.dtype));
  json.set("implementation", tensor.implementation).set("device", tensor.device);
  json.set("excess", tensor.excess).set("limit", tensor.limit);
  json.set("own", prove::to_json(tensor.own));
  json.set("accumulated", prove::to_json(tensor.accumulated));
  return json;
}

data::Json to_json(const TensorComparison& layers) {
  data::Json ranked = data::Json::array(), hidden = data::Json::array();
  for (size_t index : layers.ranking) ranked.push_back(to_json(layers.tensors[index]));
  for (const std::string& name : layers.not_observable) hidden.push_back(name);
  data::Json json = data::Json::object();
  json.set("fusion_unchanged", layers.fusion_unchanged).set("ranked", std::move(ranked));
  data::Json first;
  if (layers.first_offender >= 0) first = layers.tensors[layers.first_offender].name;
  json.set("first_offender", std::move(first)).set("not_observable", std::move(hidden));
  return json;
}

}  // namespace

data::Json to_json(const Comparison& comparison) {
  data::Json json = data::Json::object(), output = data::Json::object();
  json.set("dtype", comparison.dtype).set("device_description", comparison.device);
  json.set("against", comparison.against).set("check_data", comparison.check_data);
  json.set("sequences", comparison.sequences).set("tokens", comparison.tokens);
  data::Json kld = data::Json::object();
  kld.set("mean", comparison.kld.mean).set("median", comparison.kld.median);
  kld.set("p99", comparison.kld.p99).set("max", comparison.kld.max);
  kld.set("same_top", comparison.kld.same_top).set("decided_rows", comparison.kld.decided_rows);
  output.set("name", "logits").set("rows", comparison.kld.rows);
  output.set("error", to_json(comparison.logits)).set("kld", std::move(kld));
  json.set("outputs", data::Json(data::Json::Array{std::move(output)}));
  if (comparison.layers) {
    json.set("layers", to_json(*comparison.layers)).set("repair", to_json(comparison.repair));
  }
  data::Json failures = data::Json::array();
  for (const std::string& failure : comparison.failures) failures.push_back(failure);
  return json.set("failures", std::move(failures)).set("passed", comparison.failures.empty());
}

}  // namespace tenon::prove
