#pragma once

#include <cstddef>

#include "tensor/tensor.h"

namespace tenon::runtime {

// Where a session gets its weights: a plan file, or the compiler's oracle.
class ConstantSource {
 public:
  virtual ~ConstantSource() = default;
  // The weight of that index of Plan::constants. Where stable() the view lives as long as the
  // source, else until the next call of begin_step().
  virtual TensorView constant(size_t index) = 0;
  virtual bool stable() const { return true; }
  // A new step begins: transient views of earlier steps may be dropped.
  virtual void begin_step() {}
};

}  // namespace tenon::runtime
