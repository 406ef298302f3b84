#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "ops/attributes.h"
#include "tensor/tensor.h"
#include "tensor/value_type.h"

namespace tenon::ops {

enum class PortKind { Required, Optional, Variadic, State };

// One input or output of an op. A State input is a buffer the session owns, updated in place.
struct Port {
  std::string_view name;
  PortKind kind = PortKind::Required;
};

// What a shape rule sees and sets. Absent optional inputs have no type.
class InferContext {
 public:
  InferContext(const Attributes& attributes, std::vector<const ValueType*> inputs,
               std::vector<const Tensor*> known_values, size_t output_count)
      : attributes_(attributes),
        inputs_(std::move(inputs)),
        known_(std::move(known_values)),
        outputs_(output_count) {}

  const Attributes& attributes() const { return attributes_; }
  size_t input_count() const { return inputs_.size(); }
  bool has(size_t input) const { return input < inputs_.size() && inputs_[input]; }
  const ValueType& input(size_t index) const;
  // The value of an input where it is known at compile time, else nullptr.
  const Tensor* known(size_t input) const {
    return input < known_.size() ? known_[input] : nullptr;
  }
  size_t output_count() const { return outputs_.size(); }
  void set_output(size_t index, ValueType type);
  const std::vector<ValueType>& outputs() const { return outputs_; }

  // Each throws ErrorCode::BadInput naming the argument, what it got and what is accepted.
  void need_rank(size_t input, size_t rank, std::string_view argument) const;
  void need_float(size_t input, std::string_view argument) const;
  void need_dtype(size_t input, DType dtype, std::string_view argument) const;
  // Refuses only what is certainly different: constants that disagree.
  void need_equal(const Dim& a, const Dim& b, std::string_view what) const;

 private:
  const Attributes& attributes_;
  std::vector<const ValueType*> inputs_;
  std::vector<const Tensor*> known_;
  std::vector<ValueType> outputs_;
};

// One catalogue entry: the contract every implementation keeps.
struct OpDef {
  std::string_view name;
  int version = 1;
  std::vector<Port> inputs, outputs;
  // The formula in words, printed by `tenon inspect --ops`.
  std::string_view formula;
  std::function<void(InferContext&)> infer;
  // Throws where attributes are unknown or mistyped; null for ops without attributes.
  std::function<void(const Attributes&)> check_attributes;
};

// The op's static parts, from its attribute struct.
template <class Op>
OpDef define_op(std::vector<Port> inputs, std::vector<Port> outputs, std::string_view formula) {
  return {Op::kName,
          1,
          std::move(inputs),
          std::move(outputs),
          formula,
          Op::infer,
          [](const Attributes& attributes) { read_attributes<Op>(attributes); }};
}

// The ops a graph may use: the built-in list plus those of plug-ins. Passed explicitly.
class Catalogue {
 public:
  void add(OpDef def);
  const OpDef* find(std::string_view name, int version = 1) const;
  // Throws ErrorCode::Unsupported with the nearest names.
  const OpDef& at(std::string_view name, int version = 1) const;
  const std::vector<OpDef>& ops() const { return ops_; }

 private:
  std::vector<OpDef> ops_;
};

// Names kept for collectives between ranks; they get definitions when a device group needs them.
inline constexpr std::string_view kReservedNames[] = {"all_reduce", "all_gather"};

// Resolves a "dtype" attribute: "" means `otherwise`.
DType dtype_attribute(std::string_view name, DType otherwise);

}  // namespace tenon::ops
