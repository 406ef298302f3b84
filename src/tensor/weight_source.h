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

class Recipe;

// Where weights come from: a checkpoint on disk, or memory. Read-only and thread-safe.
class WeightSource {
 public:
  virtual ~WeightSource() = default;
  // In the order of the files.
  virtual const std::vector<WeightInfo>& weights() const = 0;
  // nullptr where there is none of that name.
  virtual const WeightInfo* find(std::string_view name) const = 0;
  // Borrows the tensor's memory (mapped, not read); valid as long as the source. It may be strided:
  // a PyTorch file keeps views of one storage. Throws where the name is unknown or derived.
  virtual TensorView view(std::string_view name) const = 0;
  // How a weight is made that no file holds as it is (shards to be joined, a delta to be added):
  // over names that view() knows, though weights() does not list them. nullptr where view() lends
  // the weight itself.
  virtual const Recipe* recipe_of(std::string_view) const { return nullptr; }
  // Throws where the files behind it changed or could not be read since they were opened.
  virtual void verify_unchanged() const {}
};

}  // namespace tenon
