#include <algorithm>

#include "base/error.h"
#include "compiler/stage_gate.h"
#include "compiler/tune_subject.h"
#include "compiler/wide_plan.h"
#include "models/model.h"

namespace tenon::compiler {
namespace {

// A click with its padding, alone and as "everything" decodes them.
constexpr int64_t kClicks[] = {1, 64};
constexpr int64_t kPoints = 2;

// Outputs of one name of all calls of a stage behind one another: a single prompt has four numbers
// for its quality, of which no error in norm can be read off.
StageOutputs pool(const StageOutputs& outputs, const models::StageChecks& checks,
                  models::StageChecks& pooled_checks) {
  pooled_checks = {checks.origin, {}, checks.sign_outputs};
  std::vector<std::vector<std::vector<float>>> values;  // of each stage and output
  for (size_t i = 0; i < checks.calls.size(); ++i) {
    auto& stages = pooled_checks.calls;
    auto same = std::find_if(stages.begin(), stages.end(), [&](const models::CheckCall& call) {
      return call.stage == checks.calls[i].stage;
    });
    auto at = static_cast<size_t>(same - stages.begin());
    if (same == stages.end()) {
      stages.push_back({checks.calls[i].stage, "all sizes", {}});
      values.emplace_back(outputs.calls[i].size());
    }
    for (size_t j = 0; j < outputs.calls[i].size(); ++j) {
      const Tensor& tensor = outputs.calls[i][j];
      values[at][j].insert(values[at][j].end(), tensor.as<float>(),
                           tensor.as<float>() + tensor.count());
    }
  }
  StageOutputs pooled;
  for (const auto& stage : values) {
    std::vector<Tensor>& tensors = pooled.calls.emplace_back();
    for (const std::vector<float>& all : stage) {
      tensors.push_back(Tensor::make(DType::F32, {static_cast<int64_t>(all.size())}));
      std::copy(all.begin(), all.end(), tensors.back().as<float>());
    }
  }
  return pooled;
}

class StagesSubject : public TuneSubject {
 public:
  StagesSubject(std::shared_ptr<const plan::PlanFile> file, const TuneOptions& options,
                Progress& progress)
      : options_(options), progress_(progress), file_(std::move(file)) {
    const plan::Plan& plan = file_->plan();
    const models::Architecture* architecture = models::architecture_named(plan.architecture);
    if (!architecture || !architecture->checks_in) {
      throw Error(ErrorCode::Unsupported, "nothing is known that could prove this plan")
          .at("architecture")
          .got(plan.architecture);
    }
    if (options.context != 0) {
      throw Error(ErrorCode::Usage, "an option of language models")
          .at("--context")
          .got("a plan of the pipeline " + plan.pipeline)
          .fix("leave it out");
    }
    budget_ = stage_budget_of(plan);
    checks_ = architecture->checks_in(plan.model, sizes());
  }

  void measure(StepTuner& steps) override {
    auto session =
        runtime::Session::open(file_, {.devices = {options_.device}, .use_tactics = false});
    int64_t count = 0;
    for (const models::CheckCall& call : checks_.calls) {
      runtime::StageRunner& runner = session->stage(call.stage);
      count += steps.count(runner, symbols_of(runner.stage(), call));
    }
    progress_.begin("measuring", count);
    // Timing leaves garbage behind, so what a call gave is taken before.
    StageOutputs outputs;
    for (const models::CheckCall& call : checks_.calls) {
      runtime::StageRunner& runner = session->stage(call.stage);
      run_check(runner, call, outputs);
      tune_call(runner, call, steps);
    }
    progress_.end();
  }

  TuneGate prove(const plan::TacticSet& tactics) override {
    progress_.begin("fidelity gate on " + options_.device.to_string(), 3);
    models::StageChecks pooled;
    StageOutputs reference = pool(run_wide(), checks_, pooled);
    progress_.advance(1);
    auto session =
        runtime::Session::open(file_, {.devices = {options_.device}, .use_tactics = false});
    StageOutputs plain = pool(run_checks(*session, checks_), checks_, pooled);
    progress_.advance(2);
    runtime::ActiveTactics active(session->device().fingerprint());
    for (const models::CheckCall& call : pooled.calls) {
      runtime::StageRunner& runner = session->stage(call.stage);
      if (active.size() == 0) active.add(tactics, "measured", runner.backends());
      runner.use_tactics(&active);
    }
    StageOutputs tuned = pool(run_checks(*session, checks_), checks_, pooled);
    progress_.end();

    const plan::Plan& plan = file_->plan();
    GateResult with = compare_stages(tuned, reference, pooled, plan, budget_);
    GateResult without = compare_stages(plain, reference, pooled, plan, budget_);
    TuneGate gate;
    gate.failures = with.failures;
    gate.report = with.report;
    gate.report.set("without_tactics", without.report.at("against_oracle", "report"));
    gate.report.set("held_against", "the plan's weights in f32 on the CPU");
    if (!without.passed) {
      // This picture is hard for the plan itself, which was proven on others; the tactics are held
      // to what they change.
      GateResult change = compare_stages(tuned, plain, pooled, plan, budget_);
      gate.failures = change.failures;
      gate.report.set("change", change.report.at("against_oracle", "report"));
      gate.report.set("held_against", "the plan without tactics");
    }
    gate.report.set("passed", gate.failures.empty());
    gate.report.set("calls", static_cast<int64_t>(checks_.calls.size()));
    gate.report.set("device", session->device().description());
    gate.skipped = active.skipped();
    return gate;
  }

 private:
  std::vector<models::CheckSize> sizes() const {
    const data::Json& model = file_->plan().model;
    check_sizes(options_.batches, "--batches", model.get_int("max_prompts", 1));
    check_sizes(options_.prompts, "--prompts", model.get_int("max_points", 1));
    std::vector<int64_t> together(std::begin(kClicks), std::end(kClicks)), points = {kPoints};
    if (!options_.batches.empty()) together = options_.batches;
    if (!options_.prompts.empty()) points = options_.prompts;
    std::vector<models::CheckSize> sizes;
    for (int64_t prompts : together) {
      for (int64_t each : points) sizes.push_back({prompts, each});
    }
    return sizes;
  }

  StageOutputs run_wide() {
    plan::Plan wide = make_f32_plan(file_->plan());
    WideConstants constants(file_);
    runtime::Session session(wide, constants);
    return run_checks(session, checks_);
  }

  void tune_call(runtime::StageRunner& runner, const models::CheckCall& call, StepTuner& steps) {
    SymbolValues symbols = symbols_of(runner.stage(), call);
    data::Json size = data::Json::object();
    size.set("stage", call.stage);
    for (const auto& [name, value] : symbols) size.set(name, value);
    steps.tune(runner, steps.left_to_tune(runner, symbols), size);
  }

  const TuneOptions& options_;
  Progress& progress_;
  std::shared_ptr<const plan::PlanFile> file_;
  models::StageChecks checks_;
  StageBudget budget_;
};

}  // namespace

std::unique_ptr<TuneSubject> make_stages_subject(std::shared_ptr<const plan::PlanFile> file,
                                                 const TuneOptions& options, Progress& progress) {
  return std::make_unique<StagesSubject>(std::move(file), options, progress);
}

}  // namespace tenon::compiler
