#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tensor/tensor.h"

namespace tenon {

struct WeightInfo {
  std::string name;
  DType dtype = DType::F32;
  Extents extents;
  int64_t bytes() const { return dtype_bytes(dtype, extents.count()); }
};

// Where weights come from: a checkpoint on disk, or memory. Read-only and thread-safe.
class WeightSource {
 public:
  virtual ~WeightSource() = default;
  // In the order of the files.
  virtual const std::vector<WeightInfo>& weights() const = 0;
  // nullptr where there is none of that name.
  virtual const WeightInfo* find(std::string_view name) const = 0;
  // Borrows the tensor's memory (mapped, not read); valid as long as the source. Throws where the
  // name is unknown.
  virtual TensorView view(std::string_view name) const = 0;
  // Throws where the files behind it changed or could not be read since they were opened.
  virtual void verify_unchanged() const {}
};

}  // namespace tenon
