#include "base/text.h"
#include "cli/inspect_views.h"
#include "cli/layer_tree.h"
#include "cli/text_table.h"
#include "ops/op_list.h"

namespace tenon::cli {
namespace {

using data::Json;
using Rows = std::vector<std::vector<std::string>>;

Json language_json(const models::LanguageModelInfo& info) {
  Json json = Json::object(), eos = Json::array();
  for (int64_t id : info.eos) eos.push_back(id);
  json.set("vocabulary", info.vocabulary).set("hidden", info.hidden).set("layers", info.layers);
  json.set("heads", info.heads).set("kv_heads", info.kv_heads).set("head_dim", info.head_dim);
  json.set("context", info.context).set("bos", info.bos).set("eos", std::move(eos));
  return json;
}

std::string ports(const std::vector<ops::Port>& list) {
  std::string text;
  for (const ops::Port& port : list) {
    constexpr const char* kMarks[] = {"", "?", "...", " (state)"};
    text +=
        (text.empty() ? "" : ", ") + std::string(port.name) + kMarks[static_cast<int>(port.kind)];
  }
  return text;
}

Json port_names(const std::vector<ops::Port>& list) {
  Json names = Json::array();
  for (const ops::Port& port : list) names.push_back(port.name);
  return names;
}

// "used 74, tied 1".
std::string describe_ledger(const nn::Ledger& ledger) {
  std::string text;
  for (nn::WeightState state : {nn::WeightState::Used, nn::WeightState::Tied,
                                nn::WeightState::Unused, nn::WeightState::Ignored}) {
    size_t count = ledger.count(state);
    if (count == 0) continue;
    text += (text.empty() ? "" : ", ") + std::string(nn::weight_state_name(state)) + " " +
            std::to_string(count);
  }
  return text;
}

void add_verdict(const FolderSurvey& survey, Rows& rows) {
  const std::vector<Error>& errors = survey.problems.errors();
  std::string count =
      std::to_string(errors.size()) + (errors.size() == 1 ? " problem" : " problems");
  rows.push_back({"can be built", errors.empty() ? "yes" : "no: " + count});
  for (const Error& error : errors) rows.push_back({"problem", error.what()});
}

void add_model(const FolderSurvey& survey, Rows& rows) {
  std::string architecture = survey.architecture.empty() ? "unknown" : survey.architecture;
  rows.push_back({"model", survey.name.empty() ? architecture : survey.name + ", " + architecture});
  if (survey.tensors > 0) {
    rows.push_back({"weights", format_count(static_cast<uint64_t>(survey.parameters)) +
                                   " parameters, " +
                                   format_bytes(static_cast<uint64_t>(survey.weights_bytes)) +
                                   ", " + std::to_string(survey.tensors) + " tensors"});
  }
  if (survey.model) {
    std::string fields;
    Json info = language_json(survey.model->model.language);
    for (const auto& [name, value] : info.as_object("info")) {
      fields += (fields.empty() ? "" : ", ") + name + " " + value.dump();
    }
    rows.push_back({"sizes", fields});
    rows.push_back({"ledger", describe_ledger(survey.model->model.ledger)});
  }
  for (const compiler::SourceFile& file : survey.files) {
    rows.push_back({"file", file.name + ", " + format_bytes(static_cast<uint64_t>(file.bytes))});
  }
}

void add_text(const FolderSurvey& survey, Rows& rows) {
  std::string tokenizer = "none: a plan takes token ids only";
  if (survey.has_tokenizer) {
    tokenizer = survey.tokens > 0 ? std::to_string(survey.tokens) + " tokens" : "cannot be used";
  }
  rows.push_back({"tokenizer", tokenizer});
  if (survey.templates.empty()) rows.push_back({"chat template", "none"});
  for (const TemplateFact& fact : survey.templates) {
    rows.push_back({"chat template", fact.problem.empty()
                                         ? fact.name
                                         : fact.name + ", cannot be used: " + fact.problem});
  }
}

void add_estimates(const FolderSurvey& survey, Rows& rows) {
  if (!survey.build) return;
  auto bytes = [](int64_t count) { return format_bytes(static_cast<uint64_t>(count)); };
  rows.push_back({"building", "about " + bytes(survey.build->plan_bytes) + " on disk, " +
                                  bytes(survey.build->peak_memory_bytes) + " of memory, " +
                                  format_seconds(survey.build->seconds)});
  for (const DeviceEstimate& device : survey.devices) {
    std::string text = device.what + ": " + bytes(device.memory_bytes) +
                       " with one full sequence, at best " + format_seconds(device.token_seconds) +
                       " a token and " + format_seconds(device.prompt_seconds) +
                       " for a full context";
    if (device.free_bytes >= 0 && device.free_bytes < device.memory_bytes) {
      text += "; only " + bytes(device.free_bytes) + " are free";
    }
    rows.push_back({"on " + device.device, text});
  }
}

Json problem_json(const Error& error) {
  Json json = Json::object();
  json.set("code", static_cast<int>(error.code())).set("name", error_code_name(error.code()));
  return json.set("message", error.what()).set("place", error.place()).set("fix", error.fix());
}

Json estimates_json(const FolderSurvey& survey) {
  if (!survey.build) return Json();
  Json build = Json::object(), devices = Json::array();
  build.set("plan_bytes", survey.build->plan_bytes);
  build.set("peak_memory_bytes", survey.build->peak_memory_bytes);
  build.set("seconds", survey.build->seconds);
  for (const DeviceEstimate& device : survey.devices) {
    Json entry = Json::object();
    entry.set("device", device.device).set("what", device.what);
    entry.set("memory_bytes", device.memory_bytes);
    entry.set("free_bytes", device.free_bytes < 0 ? Json() : Json(device.free_bytes));
    entry.set("token_seconds_at_best", device.token_seconds);
    entry.set("prompt_seconds_at_best", device.prompt_seconds);
    devices.push_back(std::move(entry));
  }
  Json json = Json::object();
  return json.set("build", std::move(build)).set("devices", std::move(devices));
}

Json survey_json(const FolderSurvey& survey) {
  Json json = Json::object(), problems = Json::array(), files = Json::array(),
       notes = Json::array(), templates = Json::array();
  for (const Error& error : survey.problems.errors()) problems.push_back(problem_json(error));
  for (const compiler::SourceFile& file : survey.files) files.push_back(file.name);
  for (const std::string& note : survey.notes) notes.push_back(note);
  for (const TemplateFact& fact : survey.templates) {
    Json entry = Json::object();
    templates.push_back(entry.set("name", fact.name).set("problem", fact.problem));
  }
  json.set("buildable", survey.problems.empty()).set("problems", std::move(problems));
  json.set("name", survey.name).set("architecture", survey.architecture);
  json.set("parameters", survey.parameters).set("weights_bytes", survey.weights_bytes);
  json.set("tensors", survey.tensors);
  if (survey.model) {
    const nn::Ledger& ledger = survey.model->model.ledger;
    json.set("model", language_json(survey.model->model.language));
    json.set("ledger", describe_ledger(ledger));
  }
  json.set("files", std::move(files)).set("notes", std::move(notes));
  json.set("has_tokenizer", survey.has_tokenizer).set("tokens", survey.tokens);
  json.set("chat_templates", std::move(templates)).set("estimates", estimates_json(survey));
  return json;
}

}  // namespace

View folder_summary(const FolderSurvey& survey) {
  Rows rows = {{"folder", survey.path}};
  add_verdict(survey, rows);
  add_model(survey, rows);
  add_text(survey, rows);
  add_estimates(survey, rows);
  for (const std::string& note : survey.notes) rows.push_back({"note", note});
  return {text_table(rows), survey_json(survey)};
}

View folder_layers(const compiler::ImportedModel& model) {
  std::vector<WeightFact> weights;
  for (const WeightInfo& info : model.weights->weights()) {
    weights.push_back({info.name, info.dtype, info.extents, info.extents.count(), info.bytes()});
  }
  return layer_tree(weights);
}

View folder_graph(const compiler::ImportedModel& model) {
  std::string text;
  for (const ir::Graph& stage : model.model.stages) text += ir::print(stage);
  return text_view("graph", text);
}

View folder_ledger(const compiler::ImportedModel& model) {
  Rows rows = {{"tensor", "state", ""}};
  Json list = Json::array();
  for (const nn::LedgerEntry& entry : model.model.ledger.entries) {
    std::string state(nn::weight_state_name(entry.state));
    rows.push_back({entry.name, state, entry.detail});
    Json json = Json::object();
    json.set("name", entry.name).set("state", state).set("detail", entry.detail);
    list.push_back(std::move(json));
  }
  View view{text_table(rows), Json::object()};
  view.json.set("ledger", std::move(list));
  return view;
}

View op_catalogue() {
  View view;
  Json list = Json::array();
  for (const ops::OpDef& op : ops::builtin_catalogue().ops()) {
    view.text += std::string(op.name) + "(" + ports(op.inputs) + ") -> " + ports(op.outputs) +
                 "\n  " + std::string(op.formula) + "\n";
    Json entry = Json::object();
    entry.set("name", op.name).set("version", op.version).set("formula", op.formula);
    entry.set("inputs", port_names(op.inputs)).set("outputs", port_names(op.outputs));
    list.push_back(std::move(entry));
  }
  view.json.set("ops", std::move(list));
  return view;
}

}  // namespace tenon::cli
