#include "prove/compare.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <optional>

#include "base/file.h"
#include "cli/cli_progress.h"
#include "cli/command_line.h"
#include "cli/numbers.h"
#include "cli/proof_failure.h"
#include "cli/text_table.h"
#include "cli/verb.h"

namespace tenon::cli {
namespace {

struct CompareCommand {
  prove::CompareOptions options;
  std::string device = "cpu", against_device = "cpu", repair_file;
  size_t most_rows = 10;
};

std::string figure(double value) {
  return std::isfinite(value) ? fmt::format("{:.3g}", value) : "not finite";
}

std::vector<std::string> error_row(const std::string& name, const metrics::ErrorStats& stats) {
  std::vector<std::string> row = {name};
  for (double value : {stats.max_abs, stats.mean_abs, stats.median_abs, stats.p99_abs,
                       stats.max_rel, stats.mean_rel, stats.median_rel, stats.p99_rel}) {
    row.push_back(figure(value));
  }
  return row;
}

std::string outputs_text(const prove::Comparison& comparison) {
  std::string text =
      text_table({{"", "max abs", "mean", "median", "p99", "max rel", "mean", "median", "p99"},
                  error_row("logits", comparison.logits)},
                 "lrrrrrrrr");
  text += fmt::format(
      "largest error / RMS {:.3g}, mean KL divergence {:.3g}, same top token in "
      "{:.2f} % of {} decided rows ({} rows)\n",
      comparison.logits.max_abs / comparison.logits.reference_rms, comparison.kld.mean,
      100 * comparison.kld.same_top, comparison.kld.decided_rows, comparison.kld.rows);
  text += fmt::format("reference: {} {} ({}); data: {}, {} sequences, {} tokens\n",
                      comparison.against.get_string("kind", ""),
                      printable(comparison.against.get_string("path", "")),
                      comparison.against.get_string("dtype", ""), printable(comparison.check_data),
                      comparison.sequences, comparison.tokens);
  return text;
}

std::string offender_text(const prove::TensorComparison& layers) {
  if (layers.tensors.empty()) return "no tensor of the reference has a name that the plan has\n";
  if (layers.first_offender < 0) return "no step stands out from its peers\n";
  const prove::ComparedTensor& bad = layers.tensors[layers.first_offender];
  return fmt::format(
      "first offender: {} ({} in {}, {} on {}): own error {} of its norm, {} times what its peers "
      "and its type explain\n",
      printable(bad.name), bad.op, printable(bad.module), bad.implementation, bad.device,
      figure(bad.own.relative_norm), figure(bad.excess));
}

std::string layers_text(const prove::TensorComparison& layers, size_t most_rows) {
  std::vector<std::vector<std::string>> rows = {
      {"excess", "own error", "with all before", "max abs", "max rel", "op", "type", "tensor"}};
  for (size_t i = 0; i < std::min(most_rows, layers.ranking.size()); ++i) {
    const prove::ComparedTensor& tensor = layers.tensors[layers.ranking[i]];
    rows.push_back({figure(tensor.excess), figure(tensor.own.relative_norm),
                    figure(tensor.accumulated.relative_norm), figure(tensor.own.max_abs),
                    figure(tensor.own.max_rel), tensor.op, std::string(dtype_name(tensor.dtype)),
                    tensor.name});
  }
  std::string text = "\n" + text_table(rows, "rrrrrlll");
  text += fmt::format(
      "{} tensors compared after the shipped kernels; {} of the reference are not "
      "observable, since fusion removed them\n",
      layers.tensors.size(), layers.not_observable.size());
  text += layers.fusion_unchanged
              ? "the read-out changed nothing: same implementations, same output bits\n"
              : "the read-out CHANGED the run: other implementations or other output bits\n";
  return text + offender_text(layers);
}

std::string repair_text(const prove::Repair& repair) {
  std::string text;
  if (!repair.steps.empty()) text = "suggested repair, for tenon build --repair FILE:\n";
  for (const prove::RepairStep& step : repair.steps) {
    text += fmt::format("  {} in {} instead of {}: {}\n", printable(step.name), dtype_name(step.to),
                        dtype_name(step.from), step.reason);
  }
  return text + "repair: " + repair.note + "\n";
}

void write_repair(AtomicFile& file, const prove::Repair& repair) {
  file.append(prove::to_json(repair).dump(2) + "\n");
  file.commit();
}

void run_compare(CompareCommand& command, Console& console) {
  command.options.device = device::DeviceId::parse(command.device);
  command.options.against_device = device::DeviceId::parse(command.against_device);
  std::optional<AtomicFile> repair;
  if (!command.repair_file.empty()) {
    command.options.layers = true;
    repair.emplace(command.repair_file);
  }
  CliProgress progress(console);
  prove::Comparison comparison = prove::compare(command.options, progress);
  if (repair) write_repair(*repair, comparison.repair);
  if (console.json()) {
    data::Json json = data::Json::object();
    json.set("plan", command.options.plan).set("device", command.device);
    json.set("command", command_line());
    const data::Json fields = prove::to_json(comparison);
    for (const auto& [name, value] : fields.as_object("comparison")) json.set(name, value);
    console.print_document("compare", json);
  } else {
    std::string text = outputs_text(comparison);
    if (comparison.layers) {
      text += layers_text(*comparison.layers, command.most_rows) + repair_text(comparison.repair);
    }
    console.print(text);
  }
  throw_if_failed(comparison.failures, "the plan differs more than its budget allows",
                  command.options.layers ? "see the first offender and the suggested repair"
                                         : "find the step at fault with --layers");
}

}  // namespace

VerbAction declare_compare(CLI::App& app) {
  auto command = std::make_shared<CompareCommand>();
  prove::CompareOptions& options = command->options;
  app.add_option("plan", options.plan, "plan file")->required()->type_name("PLAN");
  app.add_option("--against", options.against,
                 "model folder (its unfused f32 graph), golden .safetensors of the original "
                 "implementation, or another plan")
      ->required()
      ->type_name("DIR|GOLDEN|PLAN");
  app.add_flag("--layers", options.layers,
               "every tensor that the shipped kernels write, ranked, each step on the reference's "
               "values");
  app.add_option("--tokens", options.tokens, "of the first sequence, for --layers")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("--rows", command->most_rows, "rows of the ranking to print")
      ->capture_default_str();
  app.add_option("--check", options.check_file,
                 "prompts: one a line, or JSONL with prompt, article or ids");
  app.add_option("--device", command->device, "cpu, cuda or cuda:1")->capture_default_str();
  app.add_option("--against-device", command->against_device, "where another plan runs")
      ->capture_default_str();
  app.add_option("--max-kld", options.max_kld, "budget: mean KL divergence in nats")
      ->check(budget());
  app.add_option("--max-error", options.max_error, "budget: largest logit error over the RMS")
      ->check(budget());
  app.add_option("--min-same-top", options.min_same_top,
                 "budget: share of decided rows with the same top token")
      ->check(number_within(0, 1, true));
  app.add_option("--write-repair", command->repair_file,
                 "writes the suggested repair for tenon build --repair; implies --layers")
      ->type_name("FILE");
  return [command](Console& console) { run_compare(*command, console); };
}

}  // namespace tenon::cli
