#include "compiler/build.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>

#include "base/text.h"
#include "cli/cli_progress.h"
#include "cli/describe_types.h"
#include "cli/interruption.h"
#include "cli/text_table.h"
#include "cli/verb.h"

namespace tenon::cli {
namespace {

using data::Json;

struct BuildCommand {
  compiler::BuildOptions options;
  std::string devices = "cpu";
  bool no_gate = false;
};

// "cpu", "cuda", or both: "cpu,cuda".
std::vector<device::DeviceId> parse_devices(const std::string& text) {
  std::vector<device::DeviceId> devices;
  for (const std::string& name : split(text, ',')) {
    devices.push_back(device::DeviceId::parse(name));
    if (std::count(devices.begin(), devices.end(), devices.back()) > 1) {
      throw Error(ErrorCode::Usage, "device is named twice").at("--device").got(text);
    }
  }
  return devices;
}

// "-o --json" is a forgotten name, not a file called "--json".
void check_output(const std::string& output) {
  if (!output.empty() && output[0] != '-') return;
  throw Error(ErrorCode::Usage, "no name for the plan")
      .at("--output")
      .got(output)
      .fix("for a name that starts with -, write ./" + output);
}

Json estimate_json(const compiler::BuildEstimate& estimate) {
  Json json = Json::object();
  json.set("plan_bytes", estimate.plan_bytes).set("peak_memory_bytes", estimate.peak_memory_bytes);
  json.set("seconds", estimate.seconds);
  return json;
}

double number(const Json& json, std::string_view name) {
  return json.get_double(name, 0);
}

std::string describe_outputs(const Json& figures) {
  std::string text =
      fmt::format("largest error / RMS {:.3g}, relative norm of the error at most {:.3g}",
                  number(figures, "max_error_over_rms"), number(figures, "relative_norm"));
  if (figures.find("mask_iou"))
    text += fmt::format(", IoU of masks at least {:.5f}", number(figures, "mask_iou"));
  return text + fmt::format(" ({} outputs)", figures.get_int("outputs", 0));
}

std::string describe_comparison(const Json& figures) {
  if (figures.find("outputs")) return describe_outputs(figures);
  return fmt::format(
      "largest error / RMS {:.3g}, mean KL divergence {:.3g}, same top token in {:.2f} % of {} "
      "decided rows ({} rows)",
      number(figures, "max_error_over_rms"), number(figures, "mean_kld"),
      100 * number(figures, "same_top"), figures.get_int("decided_rows", 0),
      figures.get_int("rows", 0));
}

std::string describe_budget(const Json& budget) {
  std::string text;
  for (const auto& [name, value] : budget.as_object("budget")) {
    if (value.is_bool()) continue;
    text += (text.empty() ? "" : ", ") + name + " " + value.dump();
  }
  if (budget.get_bool("loosened", false)) text += " (loosened by request)";
  return text;
}

std::vector<std::vector<std::string>> rows_of_gate(const Json& gate) {
  std::string what =
      fmt::format("{}, proof level {}: {}", gate.get_bool("passed", false) ? "passed" : "failed",
                  gate.get_string("proof", "?"), gate.get_string("check_data", "?"));
  if (gate.find("sequences")) {
    what += fmt::format(", {} sequences, {} tokens", gate.get_int("sequences", 0),
                        gate.get_int("tokens", 0));
  }
  std::vector<std::vector<std::string>> rows = {{"gate", what},
                                                {"", "on " + gate.get_string("device", "?")}};
  if (const Json* figures = gate.find("against_oracle")) {
    rows.push_back({"", "against the fp32 oracle: " + describe_comparison(*figures)});
  }
  if (const Json* figures = gate.find("against_golden")) {
    rows.push_back({"", "against the golden logits: " + describe_comparison(*figures)});
  }
  if (const Json* budget = gate.find("budget")) {
    rows.push_back({"", "budget: " + describe_budget(*budget)});
  }
  return rows;
}

std::vector<std::vector<std::string>> gate_rows(const Json& report) {
  const Json* gates = report.find("gates");
  if (!gates) return {{"gate", "skipped by request: nothing is proven"}};
  std::vector<std::vector<std::string>> rows;
  for (const Json& gate : gates->as_array("gates")) {
    for (auto& row : rows_of_gate(gate)) rows.push_back(std::move(row));
  }
  return rows;
}

// The values nearest to f16's limit; --json has all.
void add_range_rows(const Json& report, std::vector<std::vector<std::string>>& rows) {
  constexpr size_t kShown = 3;
  const Json* ranges = report.find("ranges");
  if (!ranges) return;
  std::string text;
  const Json::Array& tensors = ranges->at("tensors", "ranges").as_array("tensors");
  for (size_t i = 0; i < std::min(kShown, tensors.size()); ++i) {
    text += fmt::format("{}{} {:.3g} ({:.2g} % of f16)", i ? ", " : "",
                        tensors[i].get_string("tensor", "?"), number(tensors[i], "largest"),
                        100 * number(tensors[i], "share_of_f16"));
  }
  rows.push_back({"largest", text});
}

std::string describe_ledger(const Json& ledger) {
  std::string text;
  for (const auto& [state, count] : ledger.at("counts", "ledger").as_object("counts")) {
    text += (text.empty() ? "" : ", ") + count.dump() + " " + state;
  }
  return text;
}

// "12 attention, 3 conv"
std::string count_ops(const Json& steps) {
  std::map<std::string, int> counts;
  for (const Json& step : steps.as_array("reference_steps")) ++counts[step.get_string("op", "")];
  std::string text;
  for (const auto& [op, count] : counts)
    text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + op;
  return text;
}

// Steps on the scalar reference are slow, so each is named; where they are many, each op.
void add_choice_rows(const Json& report, std::vector<std::vector<std::string>>& rows) {
  const Json* steps = report.find("reference_steps");
  if (!steps || steps->as_array("reference_steps").empty()) {
    rows.push_back({"choice", "no step runs on the reference"});
    return;
  }
  std::string head = "choice";
  constexpr size_t kShown = 12;
  if (steps->as_array("reference_steps").size() > kShown) {
    rows.push_back({head, "on the reference: " + count_ops(*steps) + "; --json lists them"});
    return;
  }
  for (const Json& step : steps->as_array("reference_steps")) {
    rows.push_back({head, fmt::format("on the reference: {} {} {} {}", step.get_string("stage", ""),
                                      step.get_string("op", ""), step.get_string("module", ""),
                                      step.get_string("refused", ""))});
    head.clear();
  }
}

// The weights that lost most; --json has all.
void add_quantisation_rows(const Json& quantisation, std::vector<std::vector<std::string>>& rows) {
  rows.push_back(
      {"quantised",
       fmt::format("{}: {} weights, {} of {}, {:.3g} bits a weight; error of a weight's norm "
                   "{:.3g} in the middle, {:.3g} at most",
                   quantisation.get_string("format", ""), quantisation.get_int("weights", 0),
                   format_bytes(quantisation.get_int("bytes", 0)),
                   format_bytes(quantisation.get_int("source_bytes", 0)),
                   number(quantisation, "bits_per_weight"), number(quantisation, "median_error"),
                   number(quantisation, "largest_error"))});
  constexpr size_t kShown = 3;
  const Json::Array& layers = quantisation.at("layers", "quantisation").as_array("layers");
  for (size_t i = 0; i < std::min(kShown, layers.size()); ++i) {
    rows.push_back({"", fmt::format("{} {:.3g}", layers[i].get_string("weight", "?"),
                                    number(layers[i], "relative_norm"))});
  }
}

std::string summary(const Json& report) {
  std::vector<std::vector<std::string>> rows;
  rows.push_back({"model", report.get_string("model", "") + ", " +
                               report.get_string("architecture", "") + ", " +
                               report.get_string("dtype", "")});
  rows.push_back({"weights", describe_ledger(report.at("ledger", "report"))});
  std::string passes;
  for (const Json& pass : report.at("passes", "report").as_array("passes")) {
    passes += (passes.empty() ? "" : ", ") + pass.get_string("pass", "") + " " +
              std::to_string(pass.get_int("changes", 0));
  }
  rows.push_back({"passes", passes});
  if (const Json* types = report.find("types")) {
    std::string text = describe_types(*types);
    if (!text.empty()) rows.push_back({"types", text});
  }
  if (const Json* quantisation = report.find("quantisation")) {
    add_quantisation_rows(*quantisation, rows);
  }
  add_choice_rows(report, rows);
  add_range_rows(report, rows);
  for (auto& row : gate_rows(report)) rows.push_back(std::move(row));
  rows.push_back({"plan", fmt::format("{}, weights {}, identity {}", report.get_string("plan", ""),
                                      format_bytes(report.get_int("weights_bytes", 0)),
                                      report.get_string("identity", ""))});
  rows.push_back({"time", format_seconds(number(report, "seconds"))});
  return text_table(rows);
}

void run_build(BuildCommand& command, Console& console) {
  command.options.gate = !command.no_gate;
  check_output(command.options.output);
  command.options.devices = parse_devices(command.devices);
  remove_temporaries_when_ended(command.options.output);
  CliProgress progress(console);
  compiler::BuildEstimate estimate = compiler::estimate(command.options);
  progress.note(
      fmt::format("estimate: plan {}, peak memory {}, about {}", format_bytes(estimate.plan_bytes),
                  format_bytes(estimate.peak_memory_bytes), format_seconds(estimate.seconds)));
  compiler::BuildResult result = compiler::build(command.options, progress);
  if (console.json()) {
    Json fields = Json::object();
    fields.set("estimate", estimate_json(estimate)).set("report", result.report);
    console.print_document("build", fields);
  } else if (!console.quiet()) {
    console.print(summary(result.report));
  }
}

void declare_gate_options(CLI::App& app, BuildCommand& command) {
  compiler::BuildOptions& options = command.options;
  auto* check = app.add_option(
      "--check", options.check_file,
      "prompts for the fidelity gate: one a line, or JSONL with prompt, article or ids; with "
      "--quant else tenon_check.txt of the folder");
  app.add_option("--repair", options.repair_file,
                 "steps to keep in a wider type, as tenon compare --write-repair suggests them")
      ->type_name("FILE");
  app.add_option("--golden", options.golden_file,
                 "tensors of the original implementation to prove the import against")
      ->excludes(check);
  app.add_option("--device", command.devices,
                 "where the gate runs the plan: cpu, cuda, cuda:1, or several: cpu,cuda")
      ->capture_default_str();
  app.add_option("--tactics", options.tactics_files,
                 "measured choices of `tenon tune` to embed; once a device")
      ->type_name("FILE");
  app.add_flag("--no-gate", command.no_gate, "skip the fidelity gate; the plan says so");
  app.add_option("--max-kld", options.max_kld, "budget: mean KL divergence in nats");
  app.add_option("--max-error", options.max_error, "budget: largest logit error over the RMS");
  app.add_option("--min-same-top", options.min_same_top,
                 "budget: share of decided rows with the same top token");
  app.add_flag("--keep-failed", options.keep_failed,
               "leave a plan that failed the gate as OUTPUT.failed");
  app.add_flag("--check-finite", options.check_finite,
               "first read every weight and refuse NaN and infinities");
}

}  // namespace

VerbAction declare_build(CLI::App& app) {
  auto command = std::make_shared<BuildCommand>();
  compiler::BuildOptions& options = command->options;
  app.add_option("model", options.model,
                 "folder with config.json and weights (safetensors or PyTorch), or Meta's; or one "
                 "file of weights that says by its names what it is (Segment Anything)")
      ->required()
      ->type_name("DIR");
  app.add_option("--base", options.base, "add the model, a published delta (Vicuna), to this one")
      ->type_name("DIR");
  app.add_option("-o,--output", options.output, "plan file to write")
      ->required()
      ->type_name("PLAN");
  app.add_option("--name", options.name, "what people call the model; else the folder's name");
  app.add_option("--dtype", options.dtype, "auto (as stored), f32, bf16 or f16")
      ->capture_default_str();
  app.add_option(
         "--quant", options.quant,
         "weights of linears in 8 or 4 bits: w8a8 and w4a8 (x in 8 bits, row by row), w4a16; "
         "embeddings and head keep --dtype")
      ->capture_default_str();
  app.add_option("--group-size", options.group_size,
                 "w4: inputs that share a scale: 32 (the default), 64 or 128")
      ->type_name("N");
  app.add_flag("--asymmetric", options.asymmetric, "zero points of their own with --quant");
  app.add_option("--max-batch-size", options.max_batch_size, "sequences that run at once")
      ->capture_default_str();
  app.add_option("--max-seq-len", options.max_seq_len,
                 "positions of one sequence; 0: the model's context")
      ->capture_default_str();
  declare_gate_options(app, *command);
  return [command](Console& console) { run_build(*command, console); };
}

}  // namespace tenon::cli
