#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "cli/console.h"
#include "cli/describe_types.h"
#include "cli/inspect_views.h"
#include "cli/layer_tree.h"
#include "cli/proof_note.h"
#include "cli/text_table.h"

namespace tenon::cli {
namespace {

using data::Json;
using Rows = std::vector<std::vector<std::string>>;

// Constants without a source are computed (rotary frequencies), not trained.
int64_t parameters_of(const plan::Constant& constant) {
  return constant.sources.empty() ? 0 : constant.extents.count();
}

// "hidden 128, layers 6" of the members that are no objects or lists.
std::string list_fields(const Json& json) {
  std::string text;
  for (const auto& [name, value] : json.as_object("fields")) {
    if (value.is_object() || value.is_array()) continue;
    std::string shown = value.is_string() ? value.as_string(name) : value.dump();
    text += (text.empty() ? "" : ", ") + name + " " + shown;
  }
  return text;
}

// The values nearest to f16's limit on the check data; --json has all.
std::string describe_ranges(const Json& result) {
  constexpr size_t kShown = 3;
  std::string text;
  const Json::Array& tensors = result.at("tensors", "ranges").as_array("tensors");
  for (size_t i = 0; i < std::min(kShown, tensors.size()); ++i) {
    text += fmt::format("{}{} {:.3g} ({:.2g} % of f16's limit)", i ? ", " : "",
                        tensors[i].get_string("tensor", "?"), tensors[i].get_double("largest", 0),
                        100 * tensors[i].get_double("share_of_f16", 0));
  }
  return text;
}

void add_evidence(const plan::PlanFile& file, const device::Device& device, Rows& rows) {
  std::string head = "evidence";
  const Json& entries = file.evidence().entries;
  if (entries.is_array()) {
    for (const Json& entry : entries.as_array("evidence")) {
      const Json* result = entry.find("result");
      std::string text = entry.get_string("kind", "?");
      bool ranges = text == "ranges" && result && result->find("tensors");
      if (result) text += ": " + (ranges ? describe_ranges(*result) : list_fields(*result));
      rows.push_back({head, text});
      if (const Json* figures = result ? result->find("against_oracle") : nullptr) {
        rows.push_back({"", "against the fp32 oracle: " + list_fields(*figures)});
      }
      head.clear();
    }
  }
  std::string note = proof_note(file, device);
  if (!note.empty()) rows.push_back({head, note});
}

Json stages_json(const plan::Plan& plan) {
  Json stages = Json::array();
  for (const plan::Stage& stage : plan.stages) {
    Json entry = Json::object();
    entry.set("name", stage.name).set("steps", static_cast<int64_t>(stage.steps.size()));
    entry.set("inputs", static_cast<int64_t>(stage.inputs.size()));
    entry.set("outputs", static_cast<int64_t>(stage.outputs.size()));
    entry.set("states", static_cast<int64_t>(stage.states.size()));
    stages.push_back(std::move(entry));
  }
  return stages;
}

std::string describe_stages(const plan::Plan& plan) {
  std::string text;
  for (const plan::Stage& stage : plan.stages) {
    text += fmt::format("{}{} ({} steps, {} inputs, {} outputs, {} states)",
                        text.empty() ? "" : ", ", stage.name, stage.steps.size(),
                        stage.inputs.size(), stage.outputs.size(), stage.states.size());
  }
  return text;
}

struct WeightTotals {
  int64_t parameters = 0, bytes = 0;
};

WeightTotals weight_totals(const plan::Plan& plan) {
  WeightTotals totals;
  for (const plan::Constant& constant : plan.constants) {
    totals.parameters += parameters_of(constant);
    totals.bytes += constant.bytes;
  }
  return totals;
}

std::string describe_tactics(const plan::Plan& plan) {
  std::string text;
  for (const plan::TacticSet& set : plan.tactics) {
    text += (text.empty() ? "" : "; ") + std::to_string(set.tactics.size()) + " for " + set.device;
  }
  return text;
}

Json summary_json(const plan::PlanFile& file, const device::Device& device) {
  const plan::Plan& plan = file.plan();
  WeightTotals totals = weight_totals(plan);
  Json json = Json::object();
  json.set("name", plan.name).set("architecture", plan.architecture);
  json.set("pipeline", plan.pipeline).set("identity", to_hex(file.identity()));
  json.set("parameters", totals.parameters).set("weights_bytes", totals.bytes);
  json.set("model", plan.model).set("generation", plan.generation);
  json.set("precision", plan.precision).set("budgets", plan.budgets);
  json.set("provenance", plan.provenance).set("stages", stages_json(plan));
  json.set("has_tokenizer", !plan.tokenizer.empty());
  json.set("has_chat_template", !plan.chat_template.empty());
  json.set("tactics", plan::to_json(plan.tactics));
  json.set("evidence", file.evidence().entries).set("proof_note", proof_note(file, device));
  return json;
}

}  // namespace

View plan_summary(const plan::PlanFile& file, const device::Device& device) {
  const plan::Plan& plan = file.plan();
  WeightTotals totals = weight_totals(plan);
  Rows rows = {
      {"plan", file.path()},
      {"model", plan.name + ", " + plan.architecture + ", pipeline " + plan.pipeline},
      {"identity", to_hex(file.identity())},
      {"weights", format_count(totals.parameters) + " parameters, " + format_bytes(totals.bytes) +
                      ", " + std::to_string(plan.constants.size()) + " constants"},
      {"sizes", list_fields(plan.model)},
      {"precision", list_fields(plan.precision)},
      {"generation", list_fields(plan.generation)},
      {"stages", describe_stages(plan)},
      {"text", std::string(plan.tokenizer.empty() ? "no tokenizer" : "tokenizer") +
                   (plan.chat_template.empty() ? ", no chat template" : ", chat template")},
      {"made by", list_fields(plan.provenance)},
      {"budgets", list_fields(plan.budgets)},
  };
  if (!plan.tactics.empty()) rows.push_back({"tactics", describe_tactics(plan)});
  if (const Json* types = plan.precision.find("types")) {
    rows.push_back({"types", describe_types(*types)});
  }
  add_evidence(file, device, rows);
  return {text_table(rows), summary_json(file, device)};
}

View plan_layers(const plan::PlanFile& file) {
  std::vector<WeightFact> weights;
  for (const plan::Constant& constant : file.plan().constants) {
    weights.push_back(
        {constant.name, constant.dtype, constant.extents, parameters_of(constant), constant.bytes});
  }
  return layer_tree(weights);
}

View plan_sections(const plan::PlanFile& file) {
  Rows rows = {{"section", "offset", "bytes", "digest"}};
  Json list = Json::array();
  for (const plan::PlanFile::Section& section : file.sections()) {
    std::string digest = to_hex(section.digest);
    rows.push_back(
        {section.name, std::to_string(section.offset), std::to_string(section.bytes), digest});
    Json entry = Json::object();
    entry.set("name", section.name).set("offset", section.offset);
    entry.set("bytes", section.bytes).set("digest", digest);
    list.push_back(std::move(entry));
  }
  View view{text_table(rows, "lrrl"), Json::object()};
  view.json.set("identity", to_hex(file.identity())).set("sections", std::move(list));
  return view;
}

View plan_sources(const plan::PlanFile& file) {
  Rows rows = {{"constant", "recipe"}};
  Json list = Json::array();
  for (const plan::Constant& constant : file.plan().constants) {
    rows.push_back({constant.name, constant.recipe});
    Json sources = Json::array();
    for (const std::string& source : constant.sources) sources.push_back(source);
    Json entry = Json::object();
    entry.set("constant", constant.name).set("recipe", constant.recipe);
    entry.set("sources", std::move(sources));
    list.push_back(std::move(entry));
  }
  View view{text_table(rows), Json::object()};
  view.json.set("ledger", std::move(list));
  return view;
}

View text_view(std::string name, std::string text) {
  View view;
  view.text = printable(text);
  if (!view.text.empty() && view.text.back() != '\n') view.text += '\n';
  view.json.set(name, std::move(text));
  return view;
}

}  // namespace tenon::cli
