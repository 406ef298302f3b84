#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tensor/tensor.h"

namespace tenon::frontends {

struct NamedTensor {
  std::string name;
  TensorView view;  // contiguous
};

// The metadata of a file: ordered name -> text.
using SafetensorsMetadata = std::vector<std::pair<std::string, std::string>>;

// Writes the tensors, whole or not at all, in the given order; each starts aligned for its type
// where the order allows it (widest types first does). The header is padded so that the data starts
// at a multiple of 64. Throws ErrorCode::Unsupported for types the format does not have.
void write_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                       const SafetensorsMetadata& metadata = {});

}  // namespace tenon::frontends
