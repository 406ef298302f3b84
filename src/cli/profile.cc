#include "prove/profile.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>

#include "base/file.h"
#include "cli/cli_progress.h"
#include "cli/command_line.h"
#include "cli/numbers.h"
#include "cli/text_table.h"
#include "cli/verb.h"

namespace tenon::cli {
namespace {

using Rows = std::vector<std::vector<std::string>>;

struct ProfileCommand {
  prove::ProfileOptions options;
  std::string device = "cpu", trace;
  std::string phase = "both";
  bool forecast = false;
  size_t most_rows = 15;
};

std::string microseconds(double seconds) {
  return fmt::format("{:.1f}", 1e6 * seconds);
}

std::string percent(double share) {
  return fmt::format("{:.1f} %", 100 * share);
}

double ratio(double part, double whole) {
  return whole > 0 ? part / whole : 0;
}

std::vector<std::string> group_row(const prove::ProfileGroup& group, double whole) {
  return {group.name,
          std::to_string(group.steps),
          microseconds(group.seconds),
          percent(ratio(group.seconds, whole)),
          fmt::format("{:.2f}", group.bytes / 1e6),
          fmt::format("{:.2f}", group.flops / 1e6),
          percent(ratio(group.least_seconds, group.seconds))};
}

std::string groups_text(const char* head, const std::vector<prove::ProfileGroup>& groups,
                        const prove::PhaseProfile& phase, size_t most) {
  Rows rows = {{head, "steps", "us", "share", "MB", "MFLOP", "roofline"}};
  for (size_t i = 0; i < std::min(groups.size(), most); ++i) {
    rows.push_back(group_row(groups[i], phase.seconds));
  }
  std::string text = text_table(rows, "lrrrrrr");
  if (groups.size() > most) text += fmt::format("and {} more\n", groups.size() - most);
  return text;
}

std::string steps_text(const prove::PhaseProfile& phase, size_t most) {
  std::vector<const prove::ProfiledStep*> slowest;
  for (const prove::ProfiledStep& step : phase.steps) slowest.push_back(&step);
  std::stable_sort(slowest.begin(), slowest.end(),
                   [](const auto* a, const auto* b) { return a->seconds > b->seconds; });
  Rows rows = {{"us", "share", "MB", "MFLOP", "roofline", "op", "step", "implementation"}};
  for (size_t i = 0; i < std::min(slowest.size(), most); ++i) {
    const prove::ProfiledStep& step = *slowest[i];
    rows.push_back({microseconds(step.seconds), percent(ratio(step.seconds, phase.seconds)),
                    fmt::format("{:.2f}", step.cost.bytes / 1e6),
                    fmt::format("{:.2f}", step.cost.flops / 1e6),
                    percent(ratio(step.least_seconds, step.seconds)), step.op,
                    step.module.empty() ? step.name : step.module, step.implementation});
  }
  return text_table(rows, "rrrrrlll");
}

std::string forecast_text(const prove::PhaseProfile& phase) {
  Rows rows = {{"kind", "share now", "of roofline", "a perfect kernel saves"}};
  for (const prove::Forecast& entry : prove::forecast(phase)) {
    rows.push_back(
        {entry.kind, percent(entry.share), percent(entry.of_roofline), percent(entry.best_gain)});
  }
  return text_table(rows, "lrrr");
}

std::string profile_text(const prove::Profile& profile, const ProfileCommand& command) {
  std::string text = fmt::format("{}, {}, {}; {}\n", printable(profile.model), profile.dtype,
                                 profile.device, profile.how);
  text += fmt::format("roofline: {:.3g} B/s ({}), {}\n", profile.ceilings.bytes_per_second,
                      profile.ceilings.bytes_how, prove::arithmetic_text(profile.ceilings));
  for (const prove::PhaseProfile& phase : profile.phases) {
    text += fmt::format(
        "\n{} phase: {} x {} new tokens, context {}: {} us in {} steps, {} us as a "
        "whole run\n",
        phase.name, phase.batch.seqs, phase.batch.tokens_each, phase.batch.context,
        microseconds(phase.seconds), phase.steps.size(), microseconds(phase.run_seconds));
    if (command.forecast) {
      text += forecast_text(phase);
      continue;
    }
    text += groups_text("kind", prove::group_by_kind(phase), phase, SIZE_MAX) + "\n";
    text += groups_text("layer", prove::group_by_layer(phase), phase, command.most_rows) + "\n";
    text += steps_text(phase, command.most_rows);
  }
  return text;
}

void run_profile(ProfileCommand& command, Console& console) {
  command.options.device = device::DeviceId::parse(command.device);
  command.options.prompt_phase = command.phase != "token";
  command.options.token_phase = command.phase != "prompt";
  std::optional<AtomicFile> trace;
  if (!command.trace.empty()) trace.emplace(command.trace);
  CliProgress progress(console);
  prove::Profile profile = prove::profile(command.options, progress);
  if (trace) {
    trace->append(prove::to_trace(profile).dump() + "\n");
    trace->commit();
  }
  if (console.json()) {
    data::Json json = data::Json::object();
    json.set("plan", command.options.plan).set("device", command.device);
    json.set("command", command_line());
    const data::Json fields = prove::to_json(profile);
    for (const auto& [name, value] : fields.as_object("profile")) json.set(name, value);
    console.print_document("profile", json);
  } else {
    console.print(profile_text(profile, command));
  }
}

}  // namespace

VerbAction declare_profile(CLI::App& app) {
  auto command = std::make_shared<ProfileCommand>();
  prove::ProfileOptions& options = command->options;
  app.add_option("plan", options.plan, "plan file")->required()->type_name("PLAN");
  app.add_option("--batch", options.batch, "sequences at once")
      ->check(at_least(1))
      ->capture_default_str();
  app.add_option("--prompt-tokens", options.prompt_tokens, "of each; 0: 128")->check(at_least(0));
  app.add_option("--context", options.context, "positions where one token is made; 0: 256")
      ->check(at_least(0));
  app.add_option("--phase", command->phase, "prompt, token or both")
      ->check(CLI::IsMember({"prompt", "token", "both"}))
      ->capture_default_str();
  app.add_option("--repeats", options.repeats, "of each measurement; the median counts")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  app.add_flag("--forecast", command->forecast, "what a perfect kernel of each kind would save");
  app.add_option("--trace", command->trace, "writes a trace for Perfetto")->type_name("FILE");
  app.add_option("--rows", command->most_rows, "layers and steps to print")
      ->check(at_least(0))
      ->capture_default_str();
  app.add_option("--device", command->device, "cpu, cuda or cuda:1")->capture_default_str();
  return [command](Console& console) { run_profile(*command, console); };
}

}  // namespace tenon::cli
