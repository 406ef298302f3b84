#pragma once

#include <string>

#include "data/json.h"

namespace tenon::frontends {

// The descriptions of a model folder in Hugging Face's layout; its weights are CheckpointFolder's.
struct ModelFolder {
  std::string path;                              // the folder
  data::Json config = data::Json::object();      // config.json
  data::Json generation = data::Json::object();  // generation_config.json; empty where absent
};

// Reads config.json and generation_config.json and nothing else. `path` is the folder, or one file
// in it (model.safetensors). Throws ErrorCode::BadInput naming the file.
ModelFolder read_model_folder(const std::string& path);

}  // namespace tenon::frontends
