#include "compiler/tune.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/text.h"
#include "cli/cli_progress.h"
#include "cli/interruption.h"
#include "cli/text_table.h"
#include "cli/verb.h"
#include "plan/tactics.h"

namespace tenon::cli {
namespace {

struct TuneCommand {
  compiler::TuneOptions options;
  std::string device = "cpu";
};

std::string microseconds(double seconds) {
  return fmt::format("{:.1f}", seconds * 1e6);
}

// What is faster now, most gained first.
std::string summary(const compiler::TuneResult& result) {
  const std::vector<plan::Tactic>& tactics = result.tactics.set.tactics;
  std::string text;
  if (!tactics.empty()) {
    std::vector<std::vector<std::string>> rows = {
        {"steps", "us", "was", "implementation", "instead of", "step"}};
    for (const plan::Tactic& tactic : tactics) {
      std::string name = tactic.implementation;
      if (!tactic.variant.empty()) name += " " + tactic.variant;
      rows.push_back({std::to_string(tactic.steps), microseconds(tactic.seconds),
                      microseconds(tactic.instead_of_seconds), name, tactic.instead_of,
                      tactic.signature});
    }
    text = text_table(rows, "rrr");
  }
  size_t measured = result.report.at("measurements", "report").as_array("measurements").size();
  return text + fmt::format("{} of {} kinds of step have a faster way on {}; gate passed; {}\n",
                            tactics.size(), measured, result.tactics.set.device, result.path);
}

void run_tune(TuneCommand& command, Console& console) {
  command.options.device = device::DeviceId::parse(command.device);
  std::string output = command.options.output.empty() ? plan::tactics_path(command.options.plan)
                                                      : command.options.output;
  remove_temporaries_when_ended(output);
  CliProgress progress(console);
  compiler::TuneResult result = compiler::tune(command.options, progress);
  if (console.json()) {
    data::Json fields = data::Json::object();
    fields.set("path", result.path).set("report", result.report);
    console.print_document("tune", fields);
  } else if (!console.quiet()) {
    console.print(summary(result));
  }
}

}  // namespace

VerbAction declare_tune(CLI::App& app) {
  auto command = std::make_shared<TuneCommand>();
  compiler::TuneOptions& options = command->options;
  app.add_option("plan", options.plan, "plan file")->required()->type_name("PLAN");
  app.add_option("--device", command->device, "cpu, cuda or cuda:1")->capture_default_str();
  app.add_option("-o,--output", options.output, "tactics file; else PLAN.tactics, which run uses")
      ->type_name("FILE");
  app.add_option("--batches", options.batches,
                 "how many sequences decode together: else 1, 2, 4 ... of the plan; of a plan for "
                 "pictures how many prompts: else 1, 64")
      ->delimiter(',');
  app.add_option("--prompts", options.prompts,
                 "lengths of prompts: else 64 to 512; of a plan for pictures the points of each "
                 "prompt, one more where there is no box: else 2")
      ->delimiter(',');
  app.add_option("--context", options.context,
                 "positions a sequence may have; 0: the plan's, at most 2048; not for pictures")
      ->capture_default_str();
  app.add_option("--rounds", options.rounds, "of each measurement; the median counts")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  return [command](Console& console) { run_tune(*command, console); };
}

}  // namespace tenon::cli
