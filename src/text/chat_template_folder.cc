#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "text/chat_template.h"

namespace tenon::text {
namespace {

constexpr std::string_view kDefault = "default";

// A string, or a list of objects with "name" and "template".
void add_from_json(ChatTemplates& templates, const data::Json& json) {
  if (json.is_null()) return;
  if (json.is_string()) {
    templates.set(std::string(kDefault), json.as_string("$.chat_template"));
    return;
  }
  if (!json.is_array()) {
    throw Error(ErrorCode::BadInput, "chat_template has the wrong type")
        .got(json.kind_name())
        .accepted("a string, or a list of objects with name and template");
  }
  for (const data::Json& entry : json.as_array("$.chat_template")) {
    templates.set(entry.at("name", "$.chat_template").as_string("$.chat_template.name"),
                  entry.at("template", "$.chat_template").as_string("$.chat_template.template"));
  }
}

bool add_from_file(ChatTemplates& templates, const std::string& path) {
  if (!file_exists(path)) return false;
  data::Json json = data::read_json_file(path);
  try {
    if (const data::Json* found = json.find("chat_template")) add_from_json(templates, *found);
  } catch (Error& error) {
    error.within(path);
    throw;
  }
  return !templates.empty();
}

void add_more(ChatTemplates& templates, const std::string& folder) {
  if (!is_directory(folder)) return;
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".jinja") paths.push_back(entry.path().string());
  }
  std::ranges::sort(paths);
  for (const std::string& path : paths) {
    templates.set(std::filesystem::path(path).stem().string(),
                  read_text_file(path, kLimits.template_bytes));
  }
}

}  // namespace

void ChatTemplates::set(std::string name, std::string source) {
  for (auto& [known, text] : named_) {
    if (known != name) continue;
    text = std::move(source);
    return;
  }
  named_.emplace_back(std::move(name), std::move(source));
}

const std::string* ChatTemplates::find(std::string_view name) const {
  for (const auto& [known, text] : named_) {
    if (known == name) return &text;
  }
  return nullptr;
}

const std::string* ChatTemplates::choose(bool has_tools) const {
  const std::string* tools = has_tools ? find("tool_use") : nullptr;
  return tools ? tools : find(kDefault);
}

std::vector<std::string> ChatTemplates::names() const {
  std::vector<std::string> names;
  for (const auto& [name, text] : named_) names.push_back(name);
  return names;
}

std::string ChatTemplates::to_text() const {
  if (named_.empty()) return "";
  if (named_.size() == 1 && named_[0].first == kDefault) return named_[0].second;
  data::Json list = data::Json::array();
  for (const auto& [name, text] : named_) {
    data::Json entry = data::Json::object();
    entry.set("name", name).set("template", text);
    list.push_back(std::move(entry));
  }
  return list.dump();
}

ChatTemplates ChatTemplates::from_text(std::string_view text) {
  ChatTemplates templates;
  if (text.empty()) return templates;
  if (text.starts_with("[{\"name\":")) {
    add_from_json(templates, data::parse_json(text));
  } else {
    templates.set(std::string(kDefault), std::string(text));
  }
  return templates;
}

ChatTemplates read_chat_templates(const std::string& folder) {
  ChatTemplates templates;
  std::string path = folder + "/chat_template.jinja";
  if (file_exists(path)) {
    templates.set(std::string(kDefault), read_text_file(path, kLimits.template_bytes));
  }
  add_more(templates, folder + "/additional_chat_templates");
  if (!templates.empty()) return templates;
  if (add_from_file(templates, folder + "/chat_template.json")) return templates;
  add_from_file(templates, folder + "/tokenizer_config.json");
  return templates;
}

}  // namespace tenon::text
