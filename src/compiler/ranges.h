#pragma once

#include <span>
#include <string>
#include <vector>

#include "data/json.h"
#include "plan/plan.h"
#include "tensor/tensor.h"

namespace tenon::compiler {

// The largest finite magnitude of f16.
inline constexpr double kLargestHalf = 65504;

// One tensor of the oracle's run over the check data.
struct TensorRange {
  std::string name, module;
  double largest = 0;     // magnitude of the finite elements
  int64_t nonfinite = 0;  // NaN and infinities
};

// Collects the ranges of a stage's values, step by step.
class RangeRecorder {
 public:
  explicit RangeRecorder(const plan::Stage& stage) : stage_(stage) {}
  // The outputs of a step, in host memory.
  void add(size_t step, std::span<const TensorView> outputs);
  std::vector<TensorRange> take() { return std::move(ranges_); }

 private:
  const plan::Stage& stage_;
  std::vector<TensorRange> ranges_;
};

// Largest first: [{"tensor", "largest", "share_of_f16", "nonfinite" where there are any}].
data::Json to_json(std::vector<TensorRange> ranges);

}  // namespace tenon::compiler
