#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "compiler/build.h"
#include "compiler/import_model.h"

namespace tenon::cli {

// What running the model would take on one device of this machine.
struct DeviceEstimate {
  std::string device;         // "cpu", "cuda:0"
  std::string what;           // its description
  int64_t memory_bytes = 0;   // weights and the cache of one full sequence
  int64_t free_bytes = -1;    // -1: the host's, or not known
  double token_seconds = 0;   // at best: the weights read once, at the measured bandwidth
  double prompt_seconds = 0;  // at best: a full context's products, at the measured arithmetic
};

struct TemplateFact {
  std::string name, problem;  // the problem is empty where Tenon can use it
};

// A model folder, looked at part by part: what is wrong with one does not hide the others.
struct FolderSurvey {
  std::string path, name;
  std::string architecture;                      // empty where none is known
  std::optional<compiler::ImportedModel> model;  // where it can be built
  int64_t tensors = 0, parameters = 0, weights_bytes = 0;
  std::vector<compiler::SourceFile> files;
  bool has_tokenizer = false;
  int64_t tokens = 0;
  std::vector<TemplateFact> templates;
  std::optional<compiler::BuildEstimate> build;
  std::vector<DeviceEstimate> devices;
  std::vector<std::string> notes;
  Problems problems;  // each ends a build
};

// Reads descriptions and headers, no weights. Throws only what is no fault of the folder.
FolderSurvey survey_folder(const std::string& path);

}  // namespace tenon::cli
