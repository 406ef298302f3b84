#pragma once

#include <optional>
#include <span>
#include <string>

#include "runtime/stage_runner.h"

namespace tenon::runtime {

// How many elements are no finite numbers.
struct NonFiniteCount {
  int64_t nans = 0, infinities = 0;
  bool any() const { return nans + infinities > 0; }
};
// Of a float tensor in host memory; other types have none.
NonFiniteCount count_nonfinite(const TensorView& view);

// The first step of a stage that wrote such elements.
struct NonFiniteStep {
  size_t step = 0;
  std::string op, module, tensor;  // tensor: the value's own name, as the model calls it
  NonFiniteCount count;
  // "model.layers.1.mlp.product (glu): 0 NaN, 12 infinite of 4096".
  std::string description;
};

// Runs the stage once more, step by step, and looks at what each writes: slow, for when something
// is known to be wrong. The states are written again with the same values. nullopt: all is finite.
std::optional<NonFiniteStep> find_first_nonfinite(StageRunner& stage,
                                                  std::span<const TensorView> host_inputs);

}  // namespace tenon::runtime
