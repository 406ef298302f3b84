#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tensor/formats/quantised_weight.h"
#include "tensor/tensor.h"
#include "tensor/weight_source.h"

namespace tenon {

// How a constant is made from the tensors of a checkpoint. Evaluated only while a plan is written
// (or by the oracle), so that at most one constant is in memory. Immutable and cheap to copy.
class Recipe {
 public:
  enum class Kind { Source, Literal, Slice, Concat, Permute, Reshape, Cast, Add, Quantise };

  static Recipe source(const WeightInfo& info);
  // A value computed by Tenon (a rotary frequency table); carried in the recipe.
  static Recipe literal(std::shared_ptr<const Tensor> value);
  static Recipe slice(Recipe of, int axis, int64_t begin, int64_t end);
  static Recipe concat(std::vector<Recipe> parts, int axis);
  static Recipe permute(Recipe of, std::vector<int64_t> axes);
  static Recipe transpose(Recipe of) { return permute(std::move(of), {1, 0}); }
  static Recipe reshape(Recipe of, const Extents& extents);
  static Recipe cast(Recipe of, DType dtype);  // `of` itself where the type is right already
  // The sum of two float values of equal type and extents, rounded once (base weights + delta).
  static Recipe add(Recipe a, Recipe b);
  // One part of a weight [out, in] rounded to the nearest code of the spec.
  static Recipe quantise(Recipe of, const QuantSpec& spec, QuantPart part);

  Kind kind() const;
  DType dtype() const;
  const Extents& extents() const;
  int64_t bytes() const { return dtype_bytes(dtype(), extents().count()); }
  const std::vector<Recipe>& parts() const;
  const Tensor* literal_value() const;
  // Of Quantise only.
  const QuantSpec& quant_spec() const;
  QuantPart quant_part() const;

  // The source tensors it reads, in order, each once.
  std::vector<std::string> source_names() const;
  // "cast(concat(q.weight, k.weight; axis 0); bf16)": for inspection and provenance.
  std::string to_string() const;

  // The same over other names: `prefix` before each source's.
  Recipe prefixed(const std::string& prefix) const;

  // The result without a copy, where the recipe only slices, permutes or reshapes one source.
  std::optional<TensorView> view(const WeightSource& source) const;
  // Writes the result into `out` (extents and dtype must agree; strides are free).
  void evaluate_into(const WeightSource& source, const TensorView& out) const;
  Tensor evaluate(const WeightSource& source) const;

  bool operator==(const Recipe& other) const {
    return node_ == other.node_ || to_string() == other.to_string();
  }

 private:
  struct Node;
  explicit Recipe(std::shared_ptr<const Node> node) : node_(std::move(node)) {}
  std::shared_ptr<const Node> node_;
};

}  // namespace tenon
