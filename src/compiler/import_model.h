#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/json.h"
#include "models/model.h"
#include "tensor/weight_source.h"
#include "text/tokenizer.h"

namespace tenon::compiler {

// A source file as the plan's provenance names it: no folder, so that the same model builds the
// same bytes anywhere.
struct SourceFile {
  std::string name;
  int64_t bytes = 0;
  std::string header_digest;
};

// A model folder read into graphs: everything that is known before any weight is touched.
struct ImportedModel {
  std::string path, name;
  data::Json config, generation;
  std::shared_ptr<const WeightSource> weights;
  std::vector<SourceFile> files;
  models::BuiltModel model;
  std::shared_ptr<const text::Tokenizer> tokenizer;  // null where the folder has none
  std::string chat_template;
  std::vector<std::string> notes;
};

// `base`: the model that `path` is a published delta to; "" where it is a model itself. Throws
// ErrorCode::BadInput or Unsupported, listing every problem of config and weights.
ImportedModel import_model(const std::string& path, const std::string& base = "");

}  // namespace tenon::compiler
