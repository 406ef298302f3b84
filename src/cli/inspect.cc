#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/file.h"
#include "cli/inspect_views.h"
#include "cli/plan_diff.h"
#include "cli/step_choices.h"
#include "cli/verb.h"
#include "runtime/backend_loader.h"

namespace tenon::cli {
namespace {

struct InspectCommand {
  std::string path, graph, diff, device = "cpu";
  bool layers = false, sections = false, why = false, ops = false, ledger = false;
  int64_t tokens = 1;
};

[[noreturn]] void only_a_plan_has(const std::string& option, const std::string& path) {
  throw Error(ErrorCode::Usage, option + " needs a plan, and this is a model folder")
      .at(path)
      .fix("build a plan first: tenon build " + path + " -o model.plan");
}

bool is_model_source(const std::string& path) {
  if (is_directory(path)) return true;
  std::string_view ends[] = {".safetensors", ".bin", ".pth", ".pt"};
  return std::any_of(std::begin(ends), std::end(ends),
                     [&](std::string_view end) { return path.ends_with(end); });
}

// `problems`: what is wrong with the folder, to be thrown after the view is shown.
View view_of_folder(const InspectCommand& command, Problems& problems) {
  if (command.sections) only_a_plan_has("--sections", command.path);
  if (command.why) only_a_plan_has("--why", command.path);
  if (!command.diff.empty()) only_a_plan_has("--diff", command.path);
  if (command.graph == "after") only_a_plan_has("--graph after", command.path);
  bool summary = !command.layers && !command.ledger && command.graph.empty();
  if (summary) {
    FolderSurvey survey = survey_folder(command.path);
    problems = survey.problems;
    return folder_summary(survey);
  }
  compiler::ImportedModel model = compiler::import_model(command.path);
  if (command.layers) return folder_layers(model);
  if (command.ledger) return folder_ledger(model);
  return folder_graph(model);
}

View view_of_plan(const InspectCommand& command) {
  auto file = plan::PlanFile::open(command.path);
  if (command.layers) return plan_layers(*file);
  if (command.sections) return plan_sections(*file);
  if (command.ledger) return plan_sources(*file);
  if (command.why) {
    return step_choices(file, command.tokens, device::DeviceId::parse(command.device));
  }
  if (command.graph == "before") return text_view("graph", file->plan().graph_before);
  if (command.graph == "after") return text_view("graph", file->plan().graph_after);
  if (!command.diff.empty()) return diff_view(*file, *plan::PlanFile::open(command.diff));
  return plan_summary(*file,
                      *runtime::open_backends(device::DeviceId::parse(command.device)).device);
}

void run_inspect(const InspectCommand& command, Console& console) {
  if (command.path.empty() && !command.ops) {
    throw Error(ErrorCode::Usage, "nothing to inspect").accepted("a plan or a model folder");
  }
  Problems problems;
  View view = command.ops                     ? op_catalogue()
              : is_model_source(command.path) ? view_of_folder(command, problems)
                                              : view_of_plan(command);
  if (console.json()) {
    if (!command.path.empty()) view.json.set("path", command.path);
    console.print_document("inspect", view.json);
  } else {
    console.print(view.text);
  }
  problems.throw_if_any();
}

}  // namespace

VerbAction declare_inspect(CLI::App& app) {
  auto command = std::make_shared<InspectCommand>();
  app.add_option("path", command->path, "plan file or model folder")->type_name("PLAN|DIR");
  CLI::Option_group* what = app.add_option_group("view", "one of; else a summary");
  what->add_flag("--layers", command->layers, "module tree with parameters, bytes and types");
  what->add_option("--graph", command->graph, "graph before or after the passes")
      ->check(CLI::IsMember({"before", "after"}));
  what->add_flag("--sections", command->sections, "sections of the plan file");
  what->add_flag("--why", command->why, "implementation of each step, and why not another");
  what->add_option("--diff", command->diff, "what differs in another plan")->type_name("PLAN");
  what->add_flag("--ops", command->ops, "every op with its formula");
  what->add_flag("--ledger", command->ledger, "what became of every tensor of the checkpoint");
  what->require_option(0, 1);
  app.add_option("--tokens", command->tokens, "with --why: tokens that run at once")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--device", command->device,
                 "what --why and the proof note ask about: cpu, cuda or cuda:1")
      ->capture_default_str();
  return [command](Console& console) { run_inspect(*command, console); };
}

}  // namespace tenon::cli
