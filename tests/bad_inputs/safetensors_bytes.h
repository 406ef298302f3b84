#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tenon::bad_inputs {

inline std::string little_endian(uint64_t value) {
  std::string bytes(8, '\0');
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>(value >> (8 * i) & 255);
  return bytes;
}

// The bytes of a .safetensors file, right or wrong.
inline std::string safetensors(const std::string& header, const std::string& data) {
  return little_endian(header.size()) + header + data;
}

// "name": {...}, with every field as it is given.
inline std::string entry(const std::string& name, const std::string& dtype,
                         const std::string& shape, const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":" + dtype + ",\"shape\":" + shape +
         ",\"data_offsets\":" + offsets + "}";
}

// A file with one entry.
inline std::string one_tensor(const std::string& dtype, const std::string& shape,
                              const std::string& offsets, size_t data_bytes) {
  return safetensors("{" + entry("t", dtype, shape, offsets) + "}", std::string(data_bytes, 'd'));
}

// A good file: a byte a tensor.
inline std::string byte_tensors(const std::vector<std::string>& names) {
  std::string header = "{";
  for (size_t i = 0; i < names.size(); ++i) {
    header += (i ? "," : "") + entry(names[i], "\"U8\"", "[1]",
                                     "[" + std::to_string(i) + "," + std::to_string(i + 1) + "]");
  }
  return safetensors(header + "}", std::string(names.size(), 'b'));
}

}  // namespace tenon::bad_inputs
