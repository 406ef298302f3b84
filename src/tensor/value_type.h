#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tensor/dim.h"
#include "tensor/dtype.h"

namespace tenon {

// How the codes of a quantised value stand for real numbers: value = scale * (code - zero). It
// belongs to the type. A quantised value has several components in memory: codes, scales, and where
// stated zeros and a permutation of the input channels.
struct QuantSpec {
  DType codes = DType::I8;
  DType scales = DType::F32;
  int axis = 0;                   // the axis with one scale an index (per channel); -1: per tensor
  int64_t group = 0;              // elements of the last axis that share a scale; 0: the whole axis
  bool zero_points = false;       // asymmetric
  bool permuted = false;          // input channels are reordered by a stored permutation
  std::vector<int64_t> clusters;  // sizes of the channel clusters that share a range (RPTQ)
  bool operator==(const QuantSpec&) const = default;
};

// The type of a value in a graph or a plan.
struct ValueType {
  DType dtype = DType::F32;
  Shape shape;
  std::optional<QuantSpec> quant;
  bool operator==(const ValueType&) const = default;
};

std::string to_string(const QuantSpec& quant);
std::string to_string(const ValueType& type);  // "f32[tokens, 4096]"

}  // namespace tenon
