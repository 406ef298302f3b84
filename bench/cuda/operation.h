#pragma once

#include <string>
#include <vector>

#include "measure.h"
#include "ops/implementation.h"

namespace tenon::bench {

// One call of one implementation of the CUDA back end, bound for exactly these sizes.
class Operation {
 public:
  // `name`: how the implementation's name begins; "" takes the first that supports the call.
  Operation(Gpu& gpu, std::string_view op, ops::Attributes attributes,
            std::vector<TensorView> inputs, TensorView output, std::string_view name = "")
      : Operation(gpu, op, std::move(attributes), std::move(inputs), std::vector{output}, name) {}
  Operation(Gpu& gpu, std::string_view op, ops::Attributes attributes,
            std::vector<TensorView> inputs, std::vector<TensorView> outputs,
            std::string_view name = "");
  bool supported() const { return implementation_ != nullptr; }
  std::string name() const;  // of the implementation, or why there is none
  void run();
  // The same call over another weight or cache.
  void replace_input(size_t index, const TensorView& view) { inputs_[index] = view; }

 private:
  Gpu& gpu_;
  ops::Attributes attributes_;
  std::vector<TensorView> inputs_, outputs_;
  const ops::Implementation* implementation_ = nullptr;
  std::string refused_;
  std::shared_ptr<const void> prepared_;
  device::Arena workspace_;
};

}  // namespace tenon::bench
