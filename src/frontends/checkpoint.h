#pragma once

#include <memory>
#include <string>
#include <vector>

#include "frontends/weight_file.h"

namespace tenon::frontends {

// The weights of a model, whatever files they come from.
struct Checkpoint {
  std::shared_ptr<const WeightSource> weights;
  std::vector<std::shared_ptr<const WeightFile>> files;  // each once
  std::vector<std::string> notes;                        // how they were read, for people
};

// A model folder in Hugging Face's layout or in Meta's, or one file of weights. Throws
// ErrorCode::BadInput or Unsupported naming the file.
Checkpoint open_checkpoint(const std::string& path);

}  // namespace tenon::frontends
