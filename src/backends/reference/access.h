#pragma once

#include <cstdint>
#include <initializer_list>
#include <vector>

#include "ops/implementation.h"
#include "tensor/tensor.h"

// How the reference reads and writes tensors: one element at a time, any float type, any strides.
// Slow on purpose; nothing here can hide a mistake of an op.
namespace tenon::reference {

// The element `offset` elements after view.data, as a double (exact).
double load(const TensorView& view, int64_t offset);
// Rounds `value` once, to nearest with ties to even, into the view's type.
void store(const TensorView& view, int64_t offset, double value);

// A tensor as rows of its last axis: all other axes flattened, whatever the strides.
class Rows {
 public:
  explicit Rows(const TensorView& view) : view_(view) {}
  int64_t count() const { return view_.rows(); }
  int64_t columns() const { return view_.columns(); }
  int64_t offset(int64_t row) const;  // of the row's first element
  double get(int64_t row, int64_t column) const {
    return load(view_, offset(row) + column * step());
  }
  std::vector<double> get_row(int64_t row) const;
  void set(int64_t row, int64_t column, double value) const {
    store(view_, offset(row) + column * step(), value);
  }
  void set_row(int64_t row, const std::vector<double>& values) const;

 private:
  int64_t step() const { return view_.rank() ? view_.strides.back() : 1; }
  TensorView view_;
};

// Where `view` holds the element of the output at flat index `index`: axes are aligned at the last
// one, and an axis of size 1 or a missing one repeats.
int64_t broadcast_offset(const TensorView& view, const Extents& out, int64_t index);

// One element of an i32 vector.
inline int32_t load_i32(const TensorView& view, int64_t index) {
  return view.as<const int32_t>()[index * view.strides[0]];
}
// The optional input `index`: an undefined view where the node has none.
inline TensorView input_or_none(const ops::RunArgs& args, size_t index) {
  return index < args.inputs.size() ? args.inputs[index] : TensorView();
}
inline TensorView output_or_none(const ops::RunArgs& args, size_t index) {
  return index < args.outputs.size() ? args.outputs[index] : TensorView();
}

// yes where every present input of `float_inputs` and every output of `float_outputs` has a type
// load() and store() know, and is not quantised.
ops::Support support_floats(const ops::OpDesc& desc, std::initializer_list<size_t> float_inputs,
                            std::initializer_list<size_t> float_outputs);

}  // namespace tenon::reference
