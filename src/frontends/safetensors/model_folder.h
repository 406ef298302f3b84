#pragma once

#include <string>
#include <vector>

#include "data/json.h"

namespace tenon::frontends {

// The descriptions of a model folder in Hugging Face's layout, or in Meta's; its weights are
// open_checkpoint's.
struct ModelFolder {
  std::string path;                              // the folder
  data::Json config = data::Json::object();      // config.json
  data::Json generation = data::Json::object();  // generation_config.json; empty where absent
  std::vector<std::string> notes;
};

// Whether `path` is a file of weights with no description beside it, in neither layout.
bool is_lone_file(const std::string& path);

// Reads config.json and generation_config.json and nothing else; in Meta's layout, params.json and
// the shapes in the shards. `path` is the folder, or one file in it (model.safetensors). Throws
// ErrorCode::BadInput naming the file.
ModelFolder read_model_folder(const std::string& path);

}  // namespace tenon::frontends
