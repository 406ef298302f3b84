#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "tensor/weight_source.h"

namespace tenon::frontends {

// The tensors a header names, in the order of their bytes.
struct SafetensorsHeader {
  std::vector<WeightInfo> weights;
  std::vector<int64_t> offsets;   // [weights], from the start of the data
  std::vector<uint32_t> by_name;  // [weights], indices sorted by name
};

// Parses and fully verifies the header of a file with `data_bytes` bytes of data. Stops at the
// first error. Throws ErrorCode::BadInput or Unsupported naming the tensor or the byte of the
// header.
SafetensorsHeader parse_safetensors_header(std::string_view text, int64_t data_bytes);

}  // namespace tenon::frontends
