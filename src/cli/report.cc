#include <fmt/format.h>
#include <sys/utsname.h>

#include <CLI/CLI.hpp>
#include <list>

#include "base/file.h"
#include "cli/cli_progress.h"
#include "cli/verb.h"
#include "compiler/version.h"
#include "data/json.h"
#include "plan/plan_file.h"
#include "prove/compare.h"
#include "prove/llm_bench.h"
#include "prove/profile.h"
#include "report/plan_report.h"
#include "text/base64.h"

namespace tenon::cli {
namespace {

using data::Json;

struct ReportCommand {
  std::string plan, against, device = "cpu";
  std::vector<std::string> outputs, results, baselines;
  prove::BenchOptions bench;
  bool no_measure = false;
};

void check_outputs(const ReportCommand& command) {
  for (const std::string& output : command.outputs) {
    if (output.ends_with(".html") || output.ends_with(".md")) continue;
    throw Error(ErrorCode::Usage, "a report is HTML or Markdown")
        .at("--output")
        .got(output)
        .accepted("a name that ends with .html or .md");
  }
}

// "NAME=FILE", or a file that names itself.
report::Baseline read_baseline(const std::string& argument) {
  size_t equals = argument.find('=');
  if (equals == argument.npos) {
    size_t slash = argument.rfind('/');
    return {argument.substr(slash == argument.npos ? 0 : slash + 1),
            data::read_json_file(argument)};
  }
  return {argument.substr(0, equals), data::read_json_file(argument.substr(equals + 1))};
}

// The overlay that a run on a picture has written.
void read_drawing(const Json& document, report::ReportInputs& inputs) {
  std::string path = document.get_string("overlay", "");
  if (path.empty()) return;
  auto file = MappedFile::open(path);
  std::span<const std::byte> bytes = file->bytes();
  inputs.drawings[path] =
      "data:image/png;base64," +
      text::encode_base64({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

Json as_document(const char* verb, const Json& fields) {
  Json document = Json::object();
  document.set("verb", verb);
  for (const auto& [name, value] : fields.as_object(verb)) document.set(name, value);
  return document;
}

// The options that the plan's provenance kept, as a command line.
std::string build_command(const plan::Plan& plan) {
  std::string command = "tenon build MODEL -o PLAN";
  const Json* options = plan.provenance.find("options");
  for (const char* name : {"dtype", "max_batch_size", "max_seq_len"}) {
    if (name != std::string_view("dtype") && plan.pipeline != "llm") continue;
    const Json* value = options ? options->find(name) : nullptr;
    if (!value) continue;
    std::string flag = name;
    std::replace(flag.begin(), flag.end(), '_', '-');
    command += " --" + flag + " " + (value->is_string() ? value->as_string(name) : value->dump());
  }
  return command;
}

std::string list(const std::vector<int64_t>& values) {
  return fmt::format("{}", fmt::join(values, ","));
}

bool has(const report::ReportInputs& inputs, std::string_view verb) {
  for (const Json& document : inputs.documents) {
    if (document.get_string("verb", "") == verb) return true;
  }
  return false;
}

// What was not given as a file is measured now.
void measure(ReportCommand& command, report::ReportInputs& inputs, Progress& progress) {
  device::DeviceId device = device::DeviceId::parse(command.device);
  if (!command.against.empty() && !has(inputs, "compare")) {
    prove::CompareOptions options{.plan = command.plan, .against = command.against};
    options.device = device;
    options.layers = true;
    inputs.documents.push_back(
        as_document("compare", prove::to_json(prove::compare(options, progress))));
    inputs.commands.push_back(fmt::format("tenon compare PLAN --against {} --layers --device {}",
                                          command.against, command.device));
  }
  if (command.no_measure || inputs.file->plan().pipeline != "llm") return;
  if (!has(inputs, "bench")) {
    command.bench.plan = command.plan;
    command.bench.device = device;
    inputs.documents.push_back(
        as_document("bench", prove::to_json(prove::bench(command.bench, progress))));
    inputs.commands.push_back(fmt::format(
        "tenon bench PLAN --batch {} --prompt-tokens {} --new-tokens {} --repeats {} --device {}",
        list(command.bench.batches), list(command.bench.prompt_tokens),
        list(command.bench.new_tokens), command.bench.repeats, command.device));
  }
  if (!has(inputs, "profile")) {
    prove::ProfileOptions options{.plan = command.plan, .device = device};
    inputs.documents.push_back(
        as_document("profile", prove::to_json(prove::profile(options, progress))));
    inputs.commands.push_back(fmt::format("tenon profile PLAN --device {}", command.device));
  }
}

std::vector<std::string> machine_lines(const report::ReportInputs& inputs) {
  std::vector<std::string> lines = {device::cpu_device().description()};
  for (const Json& document : inputs.documents) {
    std::string device = document.get_string("device_description", "");
    if (!device.empty() && std::find(lines.begin(), lines.end(), device) == lines.end())
      lines.push_back(device);
  }
  utsname system{};
  if (uname(&system) == 0) {
    lines.push_back(fmt::format("{} {} {}", system.sysname, system.release, system.machine));
  }
  return lines;
}

void run_report(ReportCommand& command, Console& console) {
  check_outputs(command);
  auto file = plan::PlanFile::open(command.plan);
  report::ReportInputs inputs;
  inputs.file = file.get();
  inputs.tenon = compiler::kVersion;
  inputs.commands.push_back(build_command(file->plan()));
  for (const std::string& path : command.results) {
    Json document = data::read_json_file(path);
    std::string verb = document.get_string("verb", "");
    bool is_picture = verb == "run" && document.find("image");
    if (is_picture) read_drawing(document, inputs);
    if (!is_picture && verb != "compare" && verb != "eval" && verb != "bench" &&
        verb != "profile") {
      throw Error(ErrorCode::BadInput, "file is no result that a report can use")
          .at(path)
          .got(verb.empty() ? "no verb" : verb)
          .accepted("what compare, eval, bench, profile or run --image print with --json");
    }
    inputs.commands.push_back(document.get_string("command", "tenon " + verb + " --json") + " > " +
                              path);
    inputs.documents.push_back(std::move(document));
  }
  for (const std::string& argument : command.baselines)
    inputs.baselines.push_back(read_baseline(argument));
  std::list<AtomicFile> files;  // made first: a path that cannot be written costs no measurement
  for (const std::string& path : command.outputs) files.emplace_back(path);
  CliProgress progress(console);
  measure(command, inputs, progress);
  inputs.machine = machine_lines(inputs);
  report::Page page = report::plan_report(inputs);
  Json written = Json::array();
  for (const std::string& path : command.outputs) {
    files.front().append(path.ends_with(".html") ? report::to_html(page)
                                                 : report::to_markdown(page));
    files.front().commit();
    files.pop_front();
    written.push_back(path);
  }
  if (console.json()) {
    Json json = Json::object(), documents = Json::array();
    for (const Json& document : inputs.documents) documents.push_back(document);
    json.set("plan", command.plan).set("written", written);
    console.print_document("report", json.set("documents", std::move(documents)));
  } else if (!console.quiet()) {
    for (const std::string& path : command.outputs)
      console.print("wrote " + printable(path) + "\n");
  }
}

}  // namespace

VerbAction declare_report(CLI::App& app) {
  auto command = std::make_shared<ReportCommand>();
  command->bench.batches = {1, 4};
  app.add_option("plan", command->plan, "plan file")->required()->type_name("PLAN");
  app.add_option("-o,--output", command->outputs, "report.html or report.md; may be given twice")
      ->required()
      ->type_name("FILE");
  app.add_option("--results", command->results,
                 "files that compare, eval, bench, profile and run --image printed with --json; "
                 "what is not given of a language model is measured now")
      ->type_name("FILE");
  app.add_option("--baseline", command->baselines,
                 "measurements of another run to stand beside, as NAME=FILE (JSON of bench)")
      ->type_name("NAME=FILE");
  app.add_option("--against", command->against,
                 "model folder or golden file: compares tensor by tensor now")
      ->type_name("DIR|GOLDEN");
  app.add_flag("--no-measure", command->no_measure, "neither bench nor profile now");
  app.add_option("--batch", command->bench.batches, "of the bench")->delimiter(',');
  app.add_option("--prompt-tokens", command->bench.prompt_tokens, "of the bench")->delimiter(',');
  app.add_option("--new-tokens", command->bench.new_tokens, "of the bench")->delimiter(',');
  app.add_option("--repeats", command->bench.repeats, "of each point of the bench")
      ->check(CLI::Range(1, 100000));
  app.add_option("--device", command->device, "cpu, cuda or cuda:1")->capture_default_str();
  return [command](Console& console) { run_report(*command, console); };
}

}  // namespace tenon::cli
