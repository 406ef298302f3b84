#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/limits.h"
#include "base/text.h"
#include "cli/cli_progress.h"
#include "cli/command_line.h"
#include "cli/text_table.h"
#include "cli/verb.h"
#include "prove/llm_bench.h"

namespace tenon::cli {
namespace {

struct BenchCommand {
  prove::BenchOptions options;
  std::string device = "cpu";
};

std::string milliseconds(double seconds) {
  return fmt::format("{:.3g}", 1000 * seconds);
}

std::string percent(double share) {
  return fmt::format("{:.1f} %", 100 * share);
}

std::string bench_text(const prove::BenchResult& result) {
  std::vector<std::vector<std::string>> rows = {{"batch", "prompt", "new", "first p50", "p90",
                                                 "p99", "token p50", "p90", "p99", "prompt/s",
                                                 "new/s", "arithmetic", "bandwidth", "roofline"}};
  for (const prove::BenchRow& row : result.rows) {
    bool goes_on = row.per_token.count > 0;  // a single new token is the first one
    auto later = [&](const std::string& figure) { return goes_on ? figure : std::string("-"); };
    rows.push_back({std::to_string(row.batch), std::to_string(row.prompt_tokens),
                    std::to_string(row.new_tokens), milliseconds(row.first_token.p50),
                    milliseconds(row.first_token.p90), milliseconds(row.first_token.p99),
                    later(milliseconds(row.per_token.p50)), later(milliseconds(row.per_token.p90)),
                    later(milliseconds(row.per_token.p99)),
                    fmt::format("{:.1f}", row.prompt_tokens_per_second),
                    later(fmt::format("{:.1f}", row.new_tokens_per_second)),
                    percent(row.prompt_share_of_arithmetic),
                    later(percent(row.token_share_of_bandwidth)),
                    later(percent(row.token_share_of_roofline))});
  }
  std::string text = fmt::format("{}, {}, {}; loaded in {}\n", printable(result.model),
                                 result.dtype, result.device, format_seconds(result.load_seconds));
  text += text_table(rows, "rrrrrrrrrrrrrr");
  text += fmt::format(
      "times in ms; shares: prompts of {}, tokens of {:.3g} B/s ({}) and of the least time that "
      "bytes and arithmetic allow\n",
      prove::arithmetic_text(result.ceilings), result.ceilings.bytes_per_second,
      result.ceilings.bytes_how);
  return text;
}

void run_bench(BenchCommand& command, Console& console) {
  command.options.device = device::DeviceId::parse(command.device);
  CliProgress progress(console);
  prove::BenchResult result = prove::bench(command.options, progress);
  if (console.json()) {
    data::Json json = data::Json::object();
    json.set("plan", command.options.plan).set("device", command.device);
    json.set("command", command_line());
    json.set("repeats", command.options.repeats);
    const data::Json fields = prove::to_json(result);
    for (const auto& [name, value] : fields.as_object("bench")) json.set(name, value);
    console.print_document("bench", json);
  } else {
    console.print(bench_text(result));
  }
}

}  // namespace

VerbAction declare_bench(CLI::App& app) {
  auto command = std::make_shared<BenchCommand>();
  prove::BenchOptions& options = command->options;
  app.add_option("plan", options.plan, "plan file")->required()->type_name("PLAN");
  app.add_option("--batch", options.batches, "requests at once: 1,4,8")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--prompt-tokens", options.prompt_tokens, "lengths of the prompts: 32,128")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--new-tokens", options.new_tokens, "tokens to generate: 64")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--repeats", options.repeats, "measured runs of each point")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  app.add_option("--warmups", options.warmups, "runs before them")
      ->check(CLI::Range(0, 100000))
      ->capture_default_str();
  app.add_option("--max-num-tokens", options.max_num_tokens,
                 "tokens of all requests in one step; 0: the engine's default")
      ->check(CLI::Range(int64_t{0}, kLimits.positions));
  app.add_option("--device", command->device, "cpu, cuda or cuda:1")->capture_default_str();
  return [command](Console& console) { run_bench(*command, console); };
}

}  // namespace tenon::cli
