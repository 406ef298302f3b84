#include "kernels/operation.h"

#include "base/error.h"
#include "base/text.h"

namespace tenon::bench {
namespace {

ops::TensorDesc describe(const TensorView& view) {
  return {view.defined(), view.dtype, view.extents, nullptr};
}

}  // namespace

Operation::Operation(const Machine& machine, const ops::Implementation& implementation,
                     const ops::Attributes& attributes, const Operands& operands)
    : machine_(machine), implementation_(implementation) {
  bind(attributes, operands);
}

Operation::Operation(const Machine& machine, const ops::Implementation& implementation,
                     const ops::Attributes& attributes, const Operands& operands,
                     const std::string& variant)
    : machine_(machine), implementation_(implementation) {
  desc_.by_tactic = true;
  desc_.variant = variant;
  bind(attributes, operands);
}

void Operation::bind(const ops::Attributes& attributes, const Operands& operands) {
  desc_.op = implementation_.op, desc_.version = implementation_.version;
  desc_.attributes = &attributes;
  for (const TensorView& input : operands.inputs) desc_.inputs.push_back(describe(input));
  for (const TensorView& output : operands.outputs) desc_.outputs.push_back(describe(output));
  support_ = implementation_.supports(desc_);
  if (!support_.ok) return;
  if (implementation_.prepare) prepared_ = implementation_.prepare(desc_);
  int64_t bytes = implementation_.workspace_bytes ? implementation_.workspace_bytes(desc_) : 0;
  if (bytes > 0) workspace_ = device::Arena(machine_.device().allocator(), bytes);
}

std::string Operation::name() const {
  return std::string(implementation_.name) + (desc_.variant.empty() ? "" : ":" + desc_.variant);
}

std::vector<std::string> Operation::variants() const {
  return implementation_.variants ? implementation_.variants(desc_) : std::vector<std::string>();
}

void Operation::run(const Operands& operands) const {
  implementation_.run({.inputs = operands.inputs,
                       .outputs = operands.outputs,
                       .prepared = prepared_.get(),
                       .workspace = {static_cast<std::byte*>(workspace_.data()),
                                     static_cast<size_t>(workspace_.bytes())},
                       .stream = machine_.stream()});
}

Operation choose(const Machine& machine, std::string_view op, const ops::Attributes& attributes,
                 const Operands& operands) {
  std::vector<std::string> refused;
  for (const ops::Implementation* candidate : machine.implementations()) {
    if (candidate->op != op) continue;
    Operation operation(machine, *candidate, attributes, operands);
    if (operation.support().ok) return operation;
    refused.push_back(operation.name() + ": " + operation.support().reason);
  }
  throw Error(ErrorCode::Unsupported, "no implementation of this back end does the call")
      .at(op)
      .got(join(refused, "; "));
}

}  // namespace tenon::bench
