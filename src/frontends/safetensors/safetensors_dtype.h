#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tensor/dtype.h"

namespace tenon::frontends {

// An element type of the format. `reason` says why Tenon does not read it; empty where it does.
struct SafetensorsType {
  std::string_view name;
  int bits;
  DType dtype;
  std::string_view reason;
};

const SafetensorsType* find_safetensors_type(std::string_view name);
// The format's name of a type, where it has one: "BF16".
std::optional<std::string_view> safetensors_type_name(DType dtype);
// "F64, F32, ...": the types Tenon reads.
std::string safetensors_type_names();

}  // namespace tenon::frontends
