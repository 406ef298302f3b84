#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/hash.h"
#include "tensor/weight_source.h"

namespace tenon::frontends {

// One file of weights, of any format: mapped, verified when it was opened.
class WeightFile : public WeightSource {
 public:
  virtual const std::string& path() const = 0;
  virtual int64_t bytes() const = 0;
  // Digest of what describes the tensors (names, types, shapes, places), not of the weights.
  virtual const Digest& header_digest() const = 0;
  // What a person should know about how the file was read.
  virtual const std::vector<std::string>& notes() const {
    static const std::vector<std::string> kNone;
    return kNone;
  }
};

// Opens a safetensors file or a PyTorch archive, told by its content; a name of the other kind
// earns a warning. Throws ErrorCode::BadInput or Unsupported, which name other formats by name.
std::shared_ptr<const WeightFile> open_weight_file(const std::string& path);

}  // namespace tenon::frontends
