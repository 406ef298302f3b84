#include "compiler/build.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/text.h"
#include "base/thread_pool.h"
#include "compiler/lower.h"
#include "compiler/settings.h"
#include "device/device.h"
#include "frontends/safetensors/nonfinite.h"
#include "ops/op_list.h"
#include "passes/pipeline.h"
#include "plan/plan_file.h"
#include "runtime/session.h"

namespace tenon::compiler {
namespace {

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

data::Json ledger_json(const nn::Ledger& ledger) {
  data::Json counts = data::Json::object();
  for (nn::WeightState state : {nn::WeightState::Used, nn::WeightState::Tied,
                                nn::WeightState::Unused, nn::WeightState::Ignored}) {
    counts.set(nn::weight_state_name(state), static_cast<int64_t>(ledger.count(state)));
  }
  data::Json unused = data::Json::array();
  for (const nn::LedgerEntry& entry : ledger.entries) {
    if (entry.state == nn::WeightState::Unused) unused.push_back(entry.name);
  }
  data::Json json = data::Json::object();
  json.set("counts", counts).set("unused", unused);
  return json;
}

void check_finite(const WeightSource& weights) {
  Problems problems;
  for (const frontends::NonFiniteWeight& bad : frontends::find_nonfinite(weights)) {
    problems.add(Error(ErrorCode::BadInput, "weight is not finite")
                     .at(bad.name)
                     .got(std::to_string(bad.nans) + " NaN, " + std::to_string(bad.infinities) +
                          " infinite, the first at index " + std::to_string(bad.first)));
  }
  problems.throw_if_any();
}

// The graphs as plan stages. Passes run on a copy: the imported graphs stay as the oracle's.
LoweredPlan make_plan(const BuildOptions& options, const BuildSettings& settings,
                      const ImportedModel& model, data::Json& pass_report) {
  LoweredPlan lowered;
  lowered.plan = describe_plan(options, settings, model);
  for (ir::Graph graph : model.model.stages) {
    lowered.plan.graph_before += ir::print(graph);
    for (const passes::PassReport& report : passes::run_passes(graph, {settings.precision, {}})) {
      data::Json entry = data::Json::object();
      entry.set("pass", report.name).set("changes", static_cast<int64_t>(report.changes));
      pass_report.push_back(entry);
    }
    if (options.plant_fault) options.plant_fault(graph);
    lowered.plan.graph_after += ir::print(graph);
    lower_stage(graph, language_symbols(settings), lowered);
  }
  ir::Graph sample = make_sample_graph(model.model.language.vocabulary, ops::builtin_catalogue());
  lower_stage(sample, sample_symbols(settings), lowered);
  return lowered;
}

LoweredPlan make_oracle(const BuildSettings& settings, const ImportedModel& model) {
  LoweredPlan oracle;
  oracle.plan.name = "oracle";
  for (const ir::Graph& graph : model.model.stages)
    lower_stage(graph, language_symbols(settings), oracle);
  return oracle;
}

int64_t constant_bytes(const plan::Plan& plan) {
  int64_t total = 0;
  for (const plan::Constant& constant : plan.constants) total += constant.bytes;
  return total;
}

void write_weights(plan::PlanWriter& writer, const LoweredPlan& lowered,
                   const WeightSource& weights, Progress& progress) {
  progress.begin("writing weights", constant_bytes(lowered.plan));
  int64_t done = 0;
  for (size_t i = 0; i < lowered.recipes.size(); ++i) {
    const Recipe& recipe = lowered.recipes[i];
    std::optional<TensorView> view = recipe.view(weights);
    if (view && view->is_contiguous()) {
      writer.write_constant(i, view->byte_span());
    } else {
      Tensor value = recipe.evaluate(weights);
      writer.write_constant(i, value.view().byte_span());
    }
    done += recipe.bytes();
    progress.advance(done);
  }
  weights.verify_unchanged();
  writer.finish();
  progress.end();
}

CheckData load_check_data(const BuildOptions& options, const BuildSettings& settings,
                          const ImportedModel& model) {
  if (!options.golden_file.empty()) return read_golden_file(options.golden_file, model);
  if (!options.check_file.empty())
    return read_check_file(options.check_file, model, settings.max_seq_len);
  return built_in_check_data(model, settings.max_seq_len);
}

// The steps that fell to the scalar reference: slow, so people must hear of them.
data::Json reference_steps(const std::shared_ptr<const plan::PlanFile>& file) {
  auto session = runtime::Session::open(file);
  data::Json steps = data::Json::array();
  SymbolValues one = {{"tokens", 1},      {"seqs", 1},           {"rows", 1},
                      {"embed_rows", 0},  {"max_blocks", 1},     {"cache_blocks", 1},
                      {"block_size", 16}, {"history_tokens", 16}};
  for (const plan::Stage& stage : file->plan().stages) {
    for (const runtime::StepChoice& choice : session->stage(stage.name).choices(one)) {
      if (choice.device != "reference") continue;
      data::Json entry = data::Json::object();
      entry.set("stage", stage.name).set("module", choice.module).set("op", choice.op);
      entry.set("refused", choice.refused.empty() ? "" : choice.refused[0]);
      steps.push_back(entry);
    }
  }
  return steps;
}

[[noreturn]] void gate_failed(const GateResult& gate, const std::string& kept) {
  Error error(ErrorCode::ProofFailed, "the plan failed its fidelity gate");
  if (!gate.first_bad.empty()) error.at("first bad tensor " + gate.first_bad);
  error.got(join(gate.failures, "; "));
  error.fix(kept.empty() ? "nothing was written; --keep-failed keeps the plan for study"
                         : "the plan is kept at " + kept);
  throw error;
}

void run_gate_and_record(const BuildOptions& options, const BuildSettings& settings,
                         const ImportedModel& model,
                         const std::shared_ptr<const plan::PlanFile>& file,
                         plan::PlanWriter& writer, BuildResult& result, Progress& progress) {
  CheckData data = load_check_data(options, settings, model);
  progress.begin("fidelity gate", 2);
  LoweredPlan oracle = make_oracle(settings, model);
  GateResult gate = run_gate(file, oracle, *model.weights, data, settings.budget);
  progress.end();
  gate.report.set("device", device::cpu_device().description());
  result.report.set("gate", gate.report);
  plan::Evidence evidence;
  data::Json entry = data::Json::object();
  entry.set("kind", "fidelity").set("result", gate.report);
  evidence.entries.push_back(entry);
  writer.write_evidence(evidence);
  if (gate.passed) return;
  std::string kept;
  if (options.keep_failed) {
    // Under another name, so that nobody deploys it by accident and a good plan stays.
    kept = options.output + ".failed";
    writer.commit_as(kept);
  }
  gate_failed(gate, kept);
}

}  // namespace

BuildEstimate estimate(const BuildOptions& options) {
  ImportedModel model = import_model(options.model);
  BuildSettings settings = settle(options, model);
  data::Json ignored = data::Json::array();
  LoweredPlan lowered = make_plan(options, settings, model, ignored);
  BuildEstimate result;
  int64_t largest = 0;
  for (const plan::Constant& constant : lowered.plan.constants)
    largest = std::max(largest, constant.bytes);
  result.plan_bytes =
      constant_bytes(lowered.plan) + static_cast<int64_t>(lowered.plan.tokenizer.size()) +
      static_cast<int64_t>(lowered.plan.graph_before.size() + lowered.plan.graph_after.size()) +
      (64 << 10);
  // Measured on builds of 2 MB to 13 GB: buffers of the gate and the graphs beside one weight.
  result.peak_memory_bytes = largest + (256ll << 20);
  constexpr double kWriteBytesPerSecond = 400e6, kGateFlopsPerThread = 20e9, kGateTokens = 130;
  double parameters =
      static_cast<double>(constant_bytes(lowered.plan)) / (dtype_bits(settings.precision) / 8);
  result.seconds = 0.3 + static_cast<double>(result.plan_bytes) / kWriteBytesPerSecond;
  if (options.gate) {
    result.seconds +=
        2 * 2 * parameters * kGateTokens / (kGateFlopsPerThread * process_thread_pool().size());
  }
  return result;
}

BuildResult build(const BuildOptions& options, Progress& progress) {
  Stopwatch watch;
  BuildResult result;
  result.plan_path = options.output;
  ImportedModel model = import_model(options.model);
  for (const std::string& note : model.notes) progress.note("note: " + note);
  BuildSettings settings = settle(options, model);
  if (options.check_finite) check_finite(*model.weights);

  data::Json pass_report = data::Json::array();
  LoweredPlan lowered = make_plan(options, settings, model, pass_report);
  plan::PlanWriter writer(options.output, lowered.plan);
  write_weights(writer, lowered, *model.weights, progress);

  auto file = plan::PlanFile::open(writer.temporary_path());
  result.report.set("model", model.name).set("architecture", model.model.architecture);
  result.report.set("dtype", dtype_name(settings.precision))
      .set("ledger", ledger_json(model.model.ledger));
  result.report.set("passes", pass_report).set("reference_steps", reference_steps(file));
  if (options.gate) run_gate_and_record(options, settings, model, file, writer, result, progress);
  result.report.set("plan", options.output).set("identity", to_hex(file->identity()));
  result.report.set("weights_bytes", constant_bytes(lowered.plan)).set("seconds", watch.seconds());
  writer.commit();
  return result;
}

}  // namespace tenon::compiler
