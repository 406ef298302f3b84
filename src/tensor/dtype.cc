#include "tensor/dtype.h"

#include "base/checked.h"

namespace tenon {
namespace {

struct Row {
  DType dtype;
  std::string_view name;
  int bits;
  bool is_float;
};

constexpr Row kRows[] = {
    {DType::F32, "f32", 32, true},      {DType::F16, "f16", 16, true},
    {DType::BF16, "bf16", 16, true},    {DType::F64, "f64", 64, true},
    {DType::I8, "i8", 8, false},        {DType::U8, "u8", 8, false},
    {DType::I16, "i16", 16, false},     {DType::U16, "u16", 16, false},
    {DType::I32, "i32", 32, false},     {DType::U32, "u32", 32, false},
    {DType::I64, "i64", 64, false},     {DType::U64, "u64", 64, false},
    {DType::Bool, "bool", 8, false},    {DType::I4, "i4", 4, false},
    {DType::U4, "u4", 4, false},        {DType::I2, "i2", 2, false},
    {DType::U2, "u2", 2, false},        {DType::I3, "i3", 3, false},
    {DType::U3, "u3", 3, false},        {DType::F8E4M3, "f8e4m3", 8, true},
    {DType::F8E5M2, "f8e5m2", 8, true}, {DType::String, "string", 0, false},
};

const Row& row(DType dtype) {
  return kRows[static_cast<size_t>(dtype)];
}

}  // namespace

std::string_view dtype_name(DType dtype) {
  return row(dtype).name;
}

std::optional<DType> dtype_from_name(std::string_view name) {
  for (const Row& candidate : kRows) {
    if (candidate.name == name) return candidate.dtype;
  }
  return std::nullopt;
}

int dtype_bits(DType dtype) {
  return row(dtype).bits;
}
bool is_float(DType dtype) {
  return row(dtype).is_float;
}
bool is_integer(DType dtype) {
  return !row(dtype).is_float && dtype != DType::String && dtype != DType::Bool;
}

int64_t dtype_bytes(DType dtype, int64_t count) {
  int64_t bits = checked_mul<int64_t>(count, dtype_bits(dtype), "tensor bytes");
  return checked_add<int64_t>(bits, 7, "tensor bytes") / 8;
}

}  // namespace tenon
