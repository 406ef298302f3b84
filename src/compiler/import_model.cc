#include "compiler/import_model.h"

#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "frontends/safetensors/checkpoint_folder.h"
#include "frontends/safetensors/model_folder.h"
#include "ops/op_list.h"

namespace tenon::compiler {
namespace {

std::string last_component(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

bool has_tokenizer(const std::string& folder) {
  return file_exists(folder + "/tokenizer.json") ||
         (file_exists(folder + "/vocab.json") && file_exists(folder + "/merges.txt"));
}

std::string read_chat_template(const std::string& folder) {
  if (file_exists(folder + "/chat_template.jinja")) {
    return read_text_file(folder + "/chat_template.jinja", kLimits.json_string_bytes);
  }
  std::string config = folder + "/tokenizer_config.json";
  if (!file_exists(config)) return "";
  data::Json json = data::read_json_file(config);
  const data::Json* text = json.find("chat_template");
  return text && text->is_string() ? text->as_string("$.chat_template") : "";
}

void check_tokenizer_fits(ImportedModel& imported) {
  int64_t largest = imported.tokenizer->largest_id(),
          vocabulary = imported.model.language.vocabulary;
  if (largest >= vocabulary) {
    imported.notes.push_back("the tokenizer has ids up to " + std::to_string(largest) +
                             ", the model only " + std::to_string(vocabulary) +
                             " rows: such tokens are refused in prompts");
  }
}

}  // namespace

ImportedModel import_model(const std::string& path) {
  ImportedModel imported;
  frontends::ModelFolder folder = frontends::read_model_folder(path);
  imported.path = folder.path;
  imported.name = last_component(folder.path);
  imported.config = std::move(folder.config);
  imported.generation = std::move(folder.generation);
  // The architecture is settled before weights are opened: its error is the more helpful one.
  const models::Architecture& architecture = models::find_architecture(imported.config);
  auto checkpoint = frontends::CheckpointFolder::open(path);
  for (const auto& file : checkpoint->files()) {
    imported.files.push_back(
        {last_component(file->path()), file->bytes(), to_hex(file->header_digest())});
  }
  imported.weights = checkpoint;
  imported.model = architecture.build(
      {imported.config, imported.generation, *imported.weights, ops::builtin_catalogue()});
  for (const ir::Graph& stage : imported.model.stages) ir::verify(stage);
  imported.notes = imported.model.notes;
  if (has_tokenizer(imported.path)) {
    imported.tokenizer = text::Tokenizer::from_folder(imported.path);
    check_tokenizer_fits(imported);
  } else {
    imported.notes.push_back("the folder has no tokenizer: the plan takes token ids only");
  }
  imported.chat_template = read_chat_template(imported.path);
  return imported;
}

}  // namespace tenon::compiler
