#include "frontends/safetensors/safetensors_dtype.h"

namespace tenon::frontends {
namespace {

constexpr std::string_view kPacked =
    "floats of fewer than 8 bits are not read from checkpoints yet";
constexpr std::string_view kScale = "exponent-only scales are not read from checkpoints yet";
constexpr std::string_view kFnuz = "the fnuz variants of 8-bit floats are not supported";
constexpr std::string_view kComplex = "complex numbers are not supported";

constexpr SafetensorsType kTypes[] = {
    {"F64", 64, DType::F64, ""},          {"F32", 32, DType::F32, ""},
    {"F16", 16, DType::F16, ""},          {"BF16", 16, DType::BF16, ""},
    {"I64", 64, DType::I64, ""},          {"I32", 32, DType::I32, ""},
    {"I16", 16, DType::I16, ""},          {"I8", 8, DType::I8, ""},
    {"U64", 64, DType::U64, ""},          {"U32", 32, DType::U32, ""},
    {"U16", 16, DType::U16, ""},          {"U8", 8, DType::U8, ""},
    {"BOOL", 8, DType::Bool, ""},         {"F8_E4M3", 8, DType::F8E4M3, ""},
    {"F8_E5M2", 8, DType::F8E5M2, ""},    {"F4", 4, DType::U8, kPacked},
    {"F6_E2M3", 6, DType::U8, kPacked},   {"F6_E3M2", 6, DType::U8, kPacked},
    {"F8_E8M0", 8, DType::U8, kScale},    {"F8_E4M3FNUZ", 8, DType::U8, kFnuz},
    {"F8_E5M2FNUZ", 8, DType::U8, kFnuz}, {"C64", 64, DType::U8, kComplex},
};

}  // namespace

const SafetensorsType* find_safetensors_type(std::string_view name) {
  for (const SafetensorsType& type : kTypes) {
    if (type.name == name) return &type;
  }
  return nullptr;
}

std::optional<std::string_view> safetensors_type_name(DType dtype) {
  for (const SafetensorsType& type : kTypes) {
    if (type.reason.empty() && type.dtype == dtype) return type.name;
  }
  return std::nullopt;
}

std::string safetensors_type_names() {
  std::string names;
  for (const SafetensorsType& type : kTypes) {
    if (!type.reason.empty()) continue;
    names += (names.empty() ? "" : ", ") + std::string(type.name);
  }
  return names;
}

}  // namespace tenon::frontends
