#pragma once

#include <list>
#include <memory>
#include <vector>

#include "compiler/lower.h"
#include "runtime/constant_source.h"
#include "tensor/weight_source.h"

namespace tenon::compiler {

// Weights straight from the checkpoint: borrowed where the recipe only views a source (the kernels
// widen 16-bit weights exactly), else evaluated for the step that needs them and dropped. So the
// oracle of a 7B model needs no copy of its weights.
class CheckpointConstants : public runtime::ConstantSource {
 public:
  CheckpointConstants(const WeightSource& source, const std::vector<Recipe>& recipes)
      : source_(source), recipes_(recipes) {}
  TensorView constant(size_t index) override;
  bool stable() const override { return false; }
  void begin_step() override { evaluated_.clear(); }

 private:
  const WeightSource& source_;
  const std::vector<Recipe>& recipes_;
  std::list<Tensor> evaluated_;
};

}  // namespace tenon::compiler
