#include "report/plan_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "report/sections.h"

namespace tenon::report {

std::vector<const data::Json*> documents_of(const ReportInputs& inputs, std::string_view verb) {
  std::vector<const data::Json*> found;
  for (const data::Json& document : inputs.documents) {
    if (document.get_string("verb", "") == verb) found.push_back(&document);
  }
  return found;
}

std::string percent(double share) {
  return fmt::format("{:.1f} %", 100 * share);
}

std::string milliseconds(double seconds) {
  return format_figure(1000 * seconds);
}

void add_model(const ReportInputs& inputs, Page& page) {
  const plan::Plan& plan = inputs.file->plan();
  int64_t weights = 0, steps = 0;
  for (const plan::Constant& constant : plan.constants) weights += constant.bytes;
  for (const plan::Stage& stage : plan.stages) steps += static_cast<int64_t>(stage.steps.size());
  Table table{.head = {"", ""}};
  auto add = [&](const char* name, std::string value) {
    if (!value.empty()) table.rows.push_back({name, std::move(value)});
  };
  add("model", plan.name);
  add("architecture", plan.architecture);
  add("plan", inputs.file->path().substr(inputs.file->path().rfind('/') + 1));
  add("identity", to_hex(inputs.file->identity()));
  add("type of weights and products", plan.precision.get_string("dtype", ""));
  add("residual stream", plan.precision.get_string("residual_dtype", ""));
  add("quantisation", plan.precision.get_string("quantisation", ""));
  add("weights", format_bytes(static_cast<uint64_t>(weights)));
  add("steps after fusion", std::to_string(steps));
  if (const data::Json* types = plan.precision.find("types")) {
    add("values of another type", std::to_string(types->as_array("types").size()));
  }
  page.blocks.push_back(Heading{2, "What it is"});
  page.blocks.push_back(Paragraph{fmt::format(
      "{} as one Tenon plan: a file of data that holds {} and runs on "
      "the CPU and on NVIDIA GPUs.",
      plan.name.empty() ? plan.architecture : plan.name,
      plan.pipeline == "llm" ? "graph, weights and tokenizer," : "graph and weights,")});
  page.blocks.push_back(std::move(table));
  page.blocks.push_back(Heading{2, "How to make it again"});
  std::string commands;
  for (const std::string& command : inputs.commands) commands += command + "\n";
  page.blocks.push_back(Code{commands});
}

void add_environment(const ReportInputs& inputs, Page& page) {
  page.blocks.push_back(Heading{2, "Environment"});
  Table table{.head = {"", ""}};
  table.rows.push_back({"Tenon", inputs.tenon});
  for (const std::string& entry : inputs.machine) table.rows.push_back({"machine", entry});
  if (const data::Json* files = inputs.file->plan().provenance.find("files")) {
    for (const data::Json& file : files->as_array("provenance.files")) {
      table.rows.push_back({"built from", file.get_string("name", "?") + ", " +
                                              format_bytes(static_cast<uint64_t>(std::max<int64_t>(
                                                  file.get_int("bytes", 0), 0)))});
    }
  }
  page.blocks.push_back(std::move(table));
}

Page plan_report(const ReportInputs& inputs) {
  Page page;
  const plan::Plan& plan = inputs.file->plan();
  page.title = (plan.name.empty() ? plan.architecture : plan.name) + " in " +
               plan.precision.get_string("dtype", "?");
  add_model(inputs, page);
  add_environment(inputs, page);
  add_pictures(inputs, page);
  // compare, bench and profile know language models only.
  if (plan.pipeline == "llm") {
    add_accuracy(inputs, page);
    add_speed(inputs, page);
    add_profile(inputs, page);
  }
  add_evidence(inputs, page);
  return page;
}

}  // namespace tenon::report
