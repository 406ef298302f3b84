#include "frontends/safetensors/model_folder.h"

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "frontends/torch_pickle/meta_checkpoint.h"

namespace tenon::frontends {
namespace {

// Far above any real configuration, and small enough that a hostile one costs nothing.
constexpr int64_t kMostConfigBytes = 16ll << 20;

data::Json read_object(const std::string& path) {
  data::Json json = data::read_json_file(path, kMostConfigBytes);
  if (!json.is_object()) {
    throw Error(ErrorCode::BadInput, "not a JSON object").at(path).got(json.kind_name());
  }
  return json;
}

std::string parent_of(const std::string& path) {
  std::string parent = std::filesystem::path(path).parent_path();
  return parent.empty() ? "." : parent;
}

}  // namespace

bool is_lone_file(const std::string& path) {
  if (is_directory(path) || !file_exists(path)) return false;
  std::string folder = parent_of(path);
  return !is_meta_folder(folder) && !file_exists(folder + "/config.json");
}

ModelFolder read_model_folder(const std::string& path) {
  ModelFolder model;
  model.path = path;
  if (!is_directory(path)) {
    model.path = parent_of(path);
  }
  if (!is_directory(model.path) || (model.path != path && !file_exists(path))) {
    throw Error(ErrorCode::BadInput, "no such model folder or file").at(path);
  }
  if (is_meta_folder(model.path)) {
    model.config = read_meta_config(model.path, model.notes);
    return model;
  }
  model.config = read_object(resolve_in_folder(model.path, "config.json"));
  std::string generation = resolve_in_folder(model.path, "generation_config.json");
  if (file_exists(generation)) model.generation = read_object(generation);
  return model;
}

}  // namespace tenon::frontends
