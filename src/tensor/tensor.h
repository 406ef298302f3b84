#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "tensor/dtype.h"
#include "tensor/extents.h"

namespace tenon {

// Borrows memory: never owns. Strides count elements. Sub-byte types are contiguous only.
struct TensorView {
  void* data = nullptr;
  DType dtype = DType::F32;
  Extents extents;
  Extents strides;

  TensorView() = default;
  // Contiguous.
  TensorView(const void* pointer, DType type, const Extents& sizes);

  bool defined() const { return data != nullptr; }
  int rank() const { return extents.rank(); }
  int64_t count() const { return extents.count(); }
  int64_t bytes() const { return dtype_bytes(dtype, count()); }
  bool is_contiguous() const;
  // All but the last axis flattened: rows() * columns() == count().
  int64_t columns() const { return extents.rank() == 0 ? 1 : extents.back(); }
  int64_t rows() const {
    int64_t product = 1;
    for (int i = 0; i + 1 < extents.rank(); ++i) product *= extents[i];
    return product;
  }
  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }
  std::span<std::byte> byte_span() const {
    return {static_cast<std::byte*>(data), static_cast<size_t>(bytes())};
  }

  TensorView slice(int axis, int64_t begin, int64_t end) const;
  TensorView permuted(std::span<const int64_t> axes) const;
  // Contiguous views only; the count must not change.
  TensorView reshaped(const Extents& sizes) const;
};

Extents contiguous_strides(const Extents& extents);

// Always owns its memory: 64-byte aligned, uninitialised unless said.
class Tensor {
 public:
  Tensor() = default;
  // Throws ErrorCode::OutOfMemory where the allocation fails.
  static Tensor make(DType dtype, const Extents& extents);
  static Tensor make_zeros(DType dtype, const Extents& extents);
  template <class T>
  static Tensor make_from(DType dtype, const Extents& extents, std::span<const T> values) {
    Tensor tensor = make(dtype, extents);
    TENON_CHECK(static_cast<int64_t>(values.size_bytes()) == tensor.view().bytes());
    std::copy(values.begin(), values.end(), tensor.as<T>());
    return tensor;
  }

  const TensorView& view() const { return view_; }
  operator const TensorView&() const { return view_; }  // NOLINT: a Tensor lends itself
  template <class T>
  T* as() const {
    return view_.as<T>();
  }
  const Extents& extents() const { return view_.extents; }
  DType dtype() const { return view_.dtype; }
  int64_t count() const { return view_.count(); }

 private:
  struct Free {
    void operator()(void* pointer) const;
  };
  std::unique_ptr<void, Free> memory_;
  TensorView view_;
};

// Copies with conversion between any two of f32, f16, bf16, f64, or bytewise between equal types.
// Extents must agree; strides may differ. Throws ErrorCode::Unsupported for other pairs.
void copy_convert(const TensorView& from, const TensorView& to);

// A float tensor as f32, contiguous.
Tensor make_f32(const TensorView& from);

}  // namespace tenon
