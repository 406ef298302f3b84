#pragma once

#include <string>
#include <vector>

#include "kernels/machine.h"
#include "ops/implementation.h"

namespace tenon::bench {

// The operands of one call.
struct Operands {
  std::vector<TensorView> inputs, outputs;  // absent optional inputs are undefined views
};

// One implementation bound for exactly these sizes.
class Operation {
 public:
  // As a session binds it without tactics.
  Operation(const Machine& machine, const ops::Implementation& implementation,
            const ops::Attributes& attributes, const Operands& operands);
  // As a tactic binds it: one of the implementation's variants, or "".
  Operation(const Machine& machine, const ops::Implementation& implementation,
            const ops::Attributes& attributes, const Operands& operands,
            const std::string& variant);
  // yes, or why it cannot do this call; run() needs a yes.
  const ops::Support& support() const { return support_; }
  // Of the implementation, and the variant behind a colon.
  std::string name() const;
  const ops::Implementation& implementation() const { return implementation_; }
  // What a tactic may choose from; empty: no variants.
  std::vector<std::string> variants() const;
  // Queues one call on the machine's stream (on the CPU: makes it). The operands have the sizes and
  // types of those it was bound with.
  void run(const Operands& operands) const;

 private:
  void bind(const ops::Attributes& attributes, const Operands& operands);

  const Machine& machine_;
  const ops::Implementation& implementation_;
  ops::OpDesc desc_;
  ops::Support support_;
  std::shared_ptr<const void> prepared_;
  device::Arena workspace_;
};

// The first implementation that supports the call, as a session without tactics chooses. Throws
// ErrorCode::Unsupported with every implementation's reason.
Operation choose(const Machine& machine, std::string_view op, const ops::Attributes& attributes,
                 const Operands& operands);

}  // namespace tenon::bench
