#include "compiler/build.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/text.h"
#include "base/thread_pool.h"
#include "compiler/choose_types.h"
#include "compiler/gate.h"
#include "compiler/lower.h"
#include "compiler/oracle.h"
#include "compiler/quantisation_report.h"
#include "compiler/repair_file.h"
#include "compiler/settings.h"
#include "compiler/stage_gate.h"
#include "device/device.h"
#include "frontends/safetensors/nonfinite.h"
#include "ops/op_list.h"
#include "passes/pipeline.h"
#include "plan/plan_file.h"
#include "runtime/backend_loader.h"
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

// Before any work: a build of an hour must not end for want of a GPU.
void open_devices(const BuildOptions& options) {
  if (options.devices.empty()) {
    throw Error(ErrorCode::Usage, "no device to prove the plan on").at("--device");
  }
  for (const device::DeviceId& id : options.devices) {
    if (options.quant != "none") runtime::check_quantised_device(options.quant, id);
    runtime::open_backends(id);
  }
}

// What is known of the model before its plan is made.
struct Import {
  ImportedModel model;
  BuildSettings settings;
};

// The graphs as plan stages. Passes run on a copy: the imported graphs stay as the oracle's.
LoweredPlan make_plan(const BuildOptions& options, const Import& import,
                      const std::vector<TypeChoice>& types, data::Json& pass_report) {
  LoweredPlan lowered;
  lowered.plan = describe_plan(options, import.settings, import.model);
  if (!types.empty()) lowered.plan.precision.set("types", to_json(types));
  passes::PassOptions pass_options{
      import.settings.precision, {}, type_map(types), import.settings.quantisation};
  for (ir::Graph graph : import.model.model.stages) {
    lowered.plan.graph_before += ir::print(graph);
    for (const passes::PassReport& report : passes::run_passes(graph, pass_options)) {
      data::Json entry = data::Json::object();
      entry.set("pass", report.name).set("changes", static_cast<int64_t>(report.changes));
      pass_report.push_back(entry);
    }
    if (options.plant_fault) options.plant_fault(graph);
    lowered.plan.graph_after += ir::print(graph);
    lower_stage(graph, stage_symbols(graph, import.settings, import.model.model), lowered);
  }
  if (import.model.model.staged) return lowered;
  int64_t vocabulary = import.model.model.language.vocabulary;
  ir::Graph sample = make_sample_graph(vocabulary, ops::builtin_catalogue());
  lower_stage(sample, sample_symbols(import.settings), lowered);
  return lowered;
}

std::vector<TypeChoice> types_of_plan(const BuildOptions& options, const Import& import,
                                      const std::vector<TensorRange>& ranges, Progress& progress) {
  std::vector<TypeChoice> types, repair;
  // Read first: a wrong file must not cost the reading of the weights.
  if (!options.repair_file.empty()) repair = read_repair_file(options.repair_file);
  if (!options.range_guard) return repair;
  progress.begin("choosing types", static_cast<int64_t>(import.model.model.stages.size()));
  for (const ir::Graph& graph : import.model.model.stages) {
    for (TypeChoice& choice :
         choose_types(import.settings.precision, graph, *import.model.weights, ranges)) {
      types.push_back(std::move(choice));
    }
  }
  progress.end();
  // Later ones win.
  types.insert(types.end(), repair.begin(), repair.end());
  return types;
}

LoweredPlan make_oracle(const Import& import) {
  LoweredPlan oracle;
  oracle.plan.name = "oracle";
  for (const ir::Graph& graph : import.model.model.stages)
    lower_stage(graph, stage_symbols(graph, import.settings, import.model.model), oracle);
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

CheckData load_check_data(const BuildOptions& options, const Import& import) {
  const ImportedModel& model = import.model;
  if (!options.golden_file.empty()) return read_golden_file(options.golden_file, model);
  std::string check_file = options.check_file;
  if (check_file.empty() && options.quant != "none") check_file = own_check_file(model.path);
  if (!check_file.empty()) return read_check_file(check_file, model, import.settings.max_seq_len);
  return built_in_check_data(model, import.settings.max_seq_len);
}

// The steps that fell to the scalar reference: slow, so people must hear of them.
data::Json reference_steps(const std::shared_ptr<const plan::PlanFile>& file,
                           const device::DeviceId& device) {
  auto session = runtime::Session::open(file, {.devices = {device}});
  data::Json steps = data::Json::array();
  SymbolValues one = {{"tokens", 1},      {"seqs", 1},           {"rows", 1},
                      {"embed_rows", 0},  {"max_blocks", 1},     {"cache_blocks", 1},
                      {"block_size", 16}, {"history_tokens", 16}};
  for (const plan::Stage& stage : file->plan().stages) {
    for (const plan::SymbolRange& symbol : stage.symbols) one.emplace(symbol.name, symbol.least);
  }
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

[[noreturn]] void gate_failed(const BuildOptions& options, const GateResult& gate,
                              const device::DeviceId& device, const std::string& kept) {
  Error error(ErrorCode::ProofFailed, "the plan failed its fidelity gate");
  if (device.kind != device::Kind::Cpu) error.at(device.to_string());
  if (!gate.first_bad.empty()) error.at("first bad tensor " + gate.first_bad);
  error.got(join(gate.failures, "; "));
  std::string fix = kept.empty() ? "nothing was written; --keep-failed keeps the plan for study"
                                 : "the plan is kept at " + kept;
  // Rounded weights lose most on text a model was not trained on.
  bool built_in = options.check_file.empty() && options.golden_file.empty();
  if (options.quant != "none" && built_in) {
    fix +=
        "; --check FILE, or tenon_check.txt in the model's folder, judges it on text of the kind "
        "the model is for; w8a8 and smaller groups lose less";
  }
  error.fix(fix);
  throw error;
}

data::Json evidence_entry(const char* kind, const data::Json& result) {
  data::Json entry = data::Json::object();
  entry.set("kind", kind).set("result", result);
  return entry;
}

// The fp32 run a plan is held against, made before the plan: it also says how large values get.
struct Reference {
  CheckData data;
  LoweredPlan oracle;
  OracleRun run;
  // Of models that are no language models; data and run are empty then.
  models::StageChecks checks;
  StageOutputs outputs;

  const std::string& origin() const { return checks.calls.empty() ? data.origin : checks.origin; }
  const std::vector<TensorRange>& ranges() const {
    return checks.calls.empty() ? run.ranges : outputs.ranges;
  }
};

Reference make_reference(const BuildOptions& options, const Import& import, Progress& progress) {
  Reference reference;
  reference.oracle = make_oracle(import);
  const WeightSource& weights = *import.model.weights;
  if (const auto& staged = import.model.model.staged) {
    reference.checks = staged->make_checks();
    progress.begin("fp32 oracle", 1);
    reference.outputs = run_stage_oracle(reference.oracle, weights, reference.checks);
  } else {
    reference.data = load_check_data(options, import);
    progress.begin("fp32 oracle", 1);
    reference.run = run_oracle(reference.oracle, weights, reference.data);
  }
  progress.end();
  return reference;
}

data::Json range_report(const Reference& reference) {
  data::Json json = data::Json::object();
  json.set("check_data", reference.origin()).set("f16_limit", kLargestHalf);
  json.set("tensors", to_json(reference.ranges()));
  return json;
}

GateResult gate_on(const device::DeviceId& device, const Import& import, const Reference& reference,
                   const std::shared_ptr<const plan::PlanFile>& file) {
  if (import.model.model.staged) {
    return run_stage_gate(
        {file, device, reference.outputs, reference.checks, import.settings.stage_budget});
  }
  return run_gate({file, device, reference.oracle, reference.run, *import.model.weights,
                   reference.data, import.settings.budget});
}

// Each device in turn: all are recorded, the first that fails ends the build.
void run_gates(const BuildOptions& options, const Import& import, const Reference& reference,
               const std::shared_ptr<const plan::PlanFile>& file, plan::PlanWriter& writer,
               plan::Evidence evidence, BuildResult& result, Progress& progress) {
  data::Json gates = data::Json::array(), ranges = range_report(reference);
  result.report.set("ranges", ranges);
  evidence.entries.push_back(evidence_entry("ranges", ranges));
  for (const device::DeviceId& device : options.devices) {
    progress.begin("fidelity gate on " + device.to_string(), 1);
    GateResult gate = gate_on(device, import, reference, file);
    progress.end();
    gates.push_back(gate.report);
    // The first one under its old name too.
    if (gates.as_array("gates").size() == 1) result.report.set("gate", gate.report);
    result.report.set("gates", gates);
    evidence.entries.push_back(evidence_entry("fidelity", gate.report));
    writer.write_evidence(evidence);
    if (gate.passed) continue;
    std::string kept;
    if (options.keep_failed) {
      // Under another name, so that nobody deploys it by accident and a good plan stays.
      kept = options.output + ".failed";
      writer.commit_as(kept);
    }
    gate_failed(options, gate, device, kept);
  }
}

// The oracle's arenas are the largest: everything is f32 there. Inputs and outputs come on top.
int64_t staged_peak(const Import& import, const models::StageChecks& checks) {
  LoweredPlan oracle = make_oracle(import);
  CheckpointConstants constants(*import.model.weights, oracle.recipes);
  runtime::Session session(oracle.plan, constants);
  int64_t bytes = 0;
  for (const plan::Stage& stage : oracle.plan.stages) {
    runtime::StageRunner& runner = session.stage(stage.name);
    runner.choices(largest_check(stage, checks));
    bytes += runner.arena_bytes();
  }
  for (const models::CheckCall& call : checks.calls) {
    for (const models::CheckInput& input : call.inputs)
      bytes += input.call < 0 ? input.value.view().bytes() : 0;
  }
  return bytes + bytes / 4;
}

// Plan and oracle run one after the other; one weight is evaluated at a time.
int64_t peak_memory(const BuildOptions& options, const Import& import, const LoweredPlan& lowered) {
  // Graphs, tokenizer tables and what each thread works in; with the terms below it is a few MiB
  // above what builds of the miniatures were seen to take.
  int64_t bytes = (4 << 20) + (int64_t{process_thread_pool().size()} << 20) +
                  8 * static_cast<int64_t>(lowered.plan.tokenizer.size()) +
                  16 * static_cast<int64_t>(lowered.plan.graph_before.size());
  int64_t largest = 0;
  for (const Recipe& recipe : lowered.recipes) {
    bool quantised = recipe.kind() == Recipe::Kind::Quantise;
    largest = std::max(largest, recipe.bytes() + (quantised ? recipe.parts()[0].bytes() : 0));
  }
  bytes += largest;
  if (!options.gate) return bytes;
  if (const auto& staged = import.model.model.staged)
    return bytes + staged_peak(import, staged->make_checks());
  CheckData data = load_check_data(options, import);
  const models::LanguageModelInfo& info = import.model.model.language;
  auto tokens = static_cast<int64_t>(data.ids.size());
  int64_t longest = 0, seqs = static_cast<int64_t>(data.seq_offsets.size()) - 1;
  for (int64_t s = 0; s < seqs; ++s)
    longest = std::max<int64_t>(longest, data.seq_offsets[s + 1] - data.seq_offsets[s]);
  // Logits of both and what compares them; the oracle's cache; its widest values, a few at once.
  bytes += 5 * 4 * static_cast<int64_t>(data.logit_rows.size()) * info.vocabulary;
  bytes += 2 * 4 * info.layers * info.kv_heads * info.head_dim * seqs * longest;
  bytes += 12 * 4 * tokens * 4 * info.hidden;
  return bytes;
}

}  // namespace

BuildEstimate estimate(const BuildOptions& options) {
  open_devices(options);
  Import import{import_model(options.model, options.base), {}};
  import.settings = settle(options, import.model);
  data::Json ignored = data::Json::array();
  LoweredPlan lowered = make_plan(options, import, {}, ignored);
  if (!options.repair_file.empty()) {
    check_repair(read_repair_file(options.repair_file), lowered.plan, options.repair_file);
  }
  BuildEstimate result;
  result.plan_bytes =
      constant_bytes(lowered.plan) + static_cast<int64_t>(lowered.plan.tokenizer.size()) +
      static_cast<int64_t>(lowered.plan.graph_before.size() + lowered.plan.graph_after.size()) +
      (64 << 10);
  result.peak_memory_bytes = peak_memory(options, import, lowered);
  constexpr double kWriteBytesPerSecond = 400e6, kGateFlopsPerThread = 20e9, kGateTokens = 130;
  double parameters = 0;
  for (const plan::Constant& constant : lowered.plan.constants)
    parameters += static_cast<double>(constant.extents.count());
  result.seconds = 0.3 + static_cast<double>(result.plan_bytes) / kWriteBytesPerSecond;
  const auto& staged = import.model.model.staged;
  if (options.gate && staged) {
    result.seconds +=
        2 * staged->check_flops / (kGateFlopsPerThread * process_thread_pool().size());
  } else if (options.gate) {
    result.seconds +=
        2 * 2 * parameters * kGateTokens / (kGateFlopsPerThread * process_thread_pool().size());
  }
  return result;
}

BuildResult build(const BuildOptions& options, Progress& progress) {
  Stopwatch watch;
  BuildResult result;
  result.plan_path = options.output;
  open_devices(options);
  Import import{import_model(options.model, options.base), {}};
  const ImportedModel& model = import.model;
  for (const std::string& note : model.notes) progress.note("note: " + note);
  import.settings = settle(options, model);
  if (options.check_finite) check_finite(*model.weights);

  std::optional<Reference> reference;
  if (options.gate) reference = make_reference(options, import, progress);
  if (!options.gate && import.settings.precision == DType::F16) {
    progress.note(
        "note: without the gate nothing is known about f16's range: no step is kept wider");
  }
  std::vector<TypeChoice> types = types_of_plan(
      options, import, reference ? reference->ranges() : std::vector<TensorRange>(), progress);
  data::Json pass_report = data::Json::array();
  LoweredPlan lowered = make_plan(options, import, types, pass_report);
  if (!options.repair_file.empty()) {
    check_repair(read_repair_file(options.repair_file), lowered.plan, options.repair_file);
  }
  plan::PlanWriter writer(options.output, lowered.plan);
  write_weights(writer, lowered, *model.weights, progress);

  auto file = plan::PlanFile::open(writer.temporary_path());
  result.report.set("model", model.name).set("architecture", model.model.architecture);
  result.report.set("dtype", dtype_name(import.settings.precision))
      .set("types", to_json(types))
      .set("ledger", ledger_json(model.model.ledger));
  result.report.set("passes", pass_report)
      .set("reference_steps", reference_steps(file, options.devices[0]));
  plan::Evidence evidence;
  if (import.settings.quantisation) {
    progress.begin("measuring quantisation", 1);
    data::Json quantisation = quantisation_report(lowered, *model.weights);
    progress.end();
    quantisation.set("format", describe(import.settings.quantisation));
    result.report.set("quantisation", quantisation);
    evidence.entries.push_back(evidence_entry("quantisation", quantisation));
    writer.write_evidence(evidence);
  }
  if (reference) run_gates(options, import, *reference, file, writer, evidence, result, progress);
  result.report.set("plan", options.output).set("identity", to_hex(file->identity()));
  result.report.set("weights_bytes", constant_bytes(lowered.plan)).set("seconds", watch.seconds());
  writer.commit();
  return result;
}

}  // namespace tenon::compiler
