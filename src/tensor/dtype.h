#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace tenon {

// Element types. The numbers are written into plan files: append only.
enum class DType : uint8_t {
  F32 = 0,
  F16 = 1,
  BF16 = 2,
  F64 = 3,
  I8 = 4,
  U8 = 5,
  I16 = 6,
  U16 = 7,
  I32 = 8,
  U32 = 9,
  I64 = 10,
  U64 = 11,
  Bool = 12,
  I4 = 13,
  U4 = 14,
  I2 = 15,
  U2 = 16,
  I3 = 17,
  U3 = 18,
  F8E4M3 = 19,
  F8E5M2 = 20,
  String = 21,
};

// "f32", "bf16", "i4", ...
std::string_view dtype_name(DType dtype);
std::optional<DType> dtype_from_name(std::string_view name);

// Bits of one element; 0 for String.
int dtype_bits(DType dtype);
bool is_float(DType dtype);
bool is_integer(DType dtype);

// Bytes of `count` packed elements, rounded up to whole bytes. Throws where it overflows.
int64_t dtype_bytes(DType dtype, int64_t count);

}  // namespace tenon
