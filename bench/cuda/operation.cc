#include "operation.h"

#include "backends/cuda/impl_list.h"

namespace tenon::bench {

Operation::Operation(Gpu& gpu, std::string_view op, ops::Attributes attributes,
                     std::vector<TensorView> inputs, std::vector<TensorView> outputs,
                     std::string_view name)
    : gpu_(gpu),
      attributes_(std::move(attributes)),
      inputs_(std::move(inputs)),
      outputs_(std::move(outputs)) {
  ops::OpDesc desc{op, 1, &attributes_, {}, {}};
  for (const TensorView& input : inputs_) {
    desc.inputs.push_back({input.defined(), input.dtype, input.extents, nullptr});
  }
  for (const TensorView& output : outputs_) {
    desc.outputs.push_back({true, output.dtype, output.extents, nullptr});
  }
  for (const ops::Implementation* candidate : cuda::implementations()) {
    if (candidate->op != op || candidate->name.substr(0, name.size()) != name) continue;
    ops::Support support = candidate->supports(desc);
    if (support.ok) {
      implementation_ = candidate;
      break;
    }
    refused_ += std::string(candidate->name) + ": " + support.reason + "; ";
  }
  if (!implementation_) return;
  if (implementation_->prepare) prepared_ = implementation_->prepare(desc);
  if (implementation_->workspace_bytes) {
    workspace_ = device::Arena(gpu.device.allocator(), implementation_->workspace_bytes(desc));
  }
}

std::string Operation::name() const {
  return implementation_ ? std::string(implementation_->name) : refused_;
}

void Operation::run() {
  implementation_->run({.inputs = inputs_,
                        .outputs = outputs_,
                        .prepared = prepared_.get(),
                        .workspace = {static_cast<std::byte*>(workspace_.data()),
                                      static_cast<size_t>(workspace_.bytes())},
                        .stream = gpu_.stream.get()});
}

}  // namespace tenon::bench
