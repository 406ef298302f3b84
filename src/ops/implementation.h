#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ops/attributes.h"
#include "tensor/tensor.h"
#include "tensor/value_type.h"

namespace tenon::device {
class Stream;
}

namespace tenon::ops {

// What one node asks of an implementation, with the concrete upper bounds of a profile bucket.
struct TensorDesc {
  bool present = false;  // false: an optional port left empty
  DType dtype = DType::F32;
  Extents extents;
  const QuantSpec* quant = nullptr;
};

struct OpDesc {
  std::string_view op;
  int version = 1;
  const Attributes* attributes = nullptr;
  std::vector<TensorDesc> inputs, outputs;
  // A tactic chose the implementation: `supports` then refuses what cannot be done, not what
  // another implementation is believed to do faster.
  bool by_tactic = false;
  // One of Implementation::variants, for prepare(); "": the implementation's own choice.
  std::string variant = "";
};

// yes, or the reason against, as `tenon inspect --why` prints it.
struct Support {
  bool ok = true;
  std::string reason;
  static Support yes() { return {}; }
  static Support no(std::string_view why) { return {false, std::string(why)}; }
};

// One call. Absent optional tensors are undefined views. Extents are the actual ones of this call:
// at most those of the desc, on the axes that have symbols; zero is possible.
struct RunArgs {
  std::span<const TensorView> inputs;  // states among them, updated in place
  std::span<const TensorView> outputs;
  const void* prepared = nullptr;  // what prepare() returned
  std::span<std::byte> workspace;
  device::Stream* stream = nullptr;  // null on the CPU
};

// One way to do an op on one kind of device. Stateless: what a node needs is made once by
// prepare().
struct Implementation {
  std::string_view name;  // <op>[_<form>]__<dtypes>__<tile>__<arch>, parts that apply
  std::string_view op;
  int version = 1;
  Support (*supports)(const OpDesc& desc) = nullptr;
  // Parsed attributes and anything else computed once a binding; may be null.
  std::shared_ptr<const void> (*prepare)(const OpDesc& desc) = nullptr;
  // Bytes of scratch memory one call may use; null for none.
  int64_t (*workspace_bytes)(const OpDesc& desc) = nullptr;
  void (*run)(const RunArgs& args) = nullptr;
  // Ways to run that are worth measuring on the device at hand, as names that prepare() takes as
  // OpDesc::variant. The same name does the same work on every card of a model. Null: none.
  std::vector<std::string> (*variants)(const OpDesc& desc) = nullptr;
};

// prepare() for the common case: the attribute struct itself.
template <class Op>
std::shared_ptr<const void> prepare_attributes(const OpDesc& desc) {
  return std::make_shared<const Op>(read_attributes<Op>(*desc.attributes));
}
template <class Op>
const Op& attributes_of(const RunArgs& args) {
  return *static_cast<const Op*>(args.prepared);
}

// A device's implementations, best first; the reference stands last in the chain of lists.
using ImplementationList = std::span<const Implementation* const>;

struct Choice {
  const Implementation* implementation = nullptr;  // null: none supports it
  std::vector<std::string> refused;                // "<name>: <reason>", in list order
};
// The first implementation of the op that supports the desc, with the reasons of those before it.
Choice choose_implementation(ImplementationList list, const OpDesc& desc);

}  // namespace tenon::ops
