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

}  // namespace

View folder_summary(const compiler::ImportedModel& model) {
  int64_t parameters = 0, bytes = 0;
  for (const WeightInfo& info : model.weights->weights()) {
    parameters += info.extents.count();
    bytes += info.bytes();
  }
  Json info = language_json(model.model.language), files = Json::array(), notes = Json::array();
  std::string fields;
  for (const auto& [name, value] : info.as_object("info")) {
    fields += (fields.empty() ? "" : ", ") + name + " " + value.dump();
  }
  Rows rows = {{"folder", model.path},
               {"model", model.name + ", " + model.model.architecture},
               {"weights", format_count(parameters) + " parameters, " + format_bytes(bytes)},
               {"sizes", fields}};
  for (const compiler::SourceFile& file : model.files) {
    rows.push_back({"file", file.name + ", " + format_bytes(file.bytes)});
    files.push_back(file.name);
  }
  for (const std::string& note : model.notes) {
    rows.push_back({"note", note});
    notes.push_back(note);
  }
  View view{text_table(rows), Json::object()};
  view.json.set("name", model.name).set("architecture", model.model.architecture);
  view.json.set("parameters", parameters).set("weights_bytes", bytes).set("model", std::move(info));
  view.json.set("files", std::move(files)).set("notes", std::move(notes));
  view.json.set("has_tokenizer", model.tokenizer != nullptr);
  return view;
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
