#pragma once

#include <initializer_list>
#include <span>

#include "base/checked.h"
#include "ops/implementation.h"
#include "tensor/tensor.h"

namespace tenon::cpu {

// A tensor as rows of its last axis, all other axes flattened. Rows may lie apart; elements of a
// row are neighbours.
class RowAccess {
 public:
  RowAccess() = default;
  explicit RowAccess(const TensorView& view);

  bool defined() const { return base_ != nullptr; }
  DType dtype() const { return dtype_; }
  int64_t count() const { return count_; }
  int64_t columns() const { return columns_; }
  int64_t element_bytes() const { return element_bytes_; }
  // Elements between rows; only for views of at most two axes, or whose leading axes are dense.
  int64_t pitch() const { return pitch_; }
  std::byte* at(int64_t row, int64_t column) const {
    int64_t offset = dense_ ? row * pitch_ : offset_of(row);
    return base_ + (offset + column) * element_bytes_;
  }

 private:
  int64_t offset_of(int64_t row) const;

  TensorView view_;
  std::byte* base_ = nullptr;
  DType dtype_ = DType::F32;
  int64_t count_ = 0, columns_ = 0, pitch_ = 0, element_bytes_ = 4;
  bool dense_ = true;
};

// Optional tensors: undefined where the node has none.
inline TensorView input_or_none(const ops::RunArgs& args, size_t index) {
  return index < args.inputs.size() ? args.inputs[index] : TensorView();
}
inline TensorView output_or_none(const ops::RunArgs& args, size_t index) {
  return index < args.outputs.size() ? args.outputs[index] : TensorView();
}

// yes where every present tensor of these ports is f32, f16 or bf16 and not quantised.
ops::Support support_floats(const ops::OpDesc& desc, std::initializer_list<size_t> inputs,
                            std::initializer_list<size_t> outputs);

// Hands out 64-byte aligned parts of a workspace. To know its size, the same calls are made on a
// Workspace over nothing, and used() is asked.
class Workspace {
 public:
  Workspace() = default;
  explicit Workspace(std::span<std::byte> memory) : memory_(memory) {}

  template <class T>
  T* take(int64_t count) {
    std::byte* aligned = align(memory_.data());
    T* result = reinterpret_cast<T*>(aligned + used_);
    used_ += round_up(count * static_cast<int64_t>(sizeof(T)), kAlignment);
    if (memory_.data()) {
      TENON_CHECK(aligned + used_ <= memory_.data() + memory_.size());
    }
    return result;
  }
  // Bytes that a workspace needs for what was taken, wherever it begins.
  int64_t needed() const { return used_ + kAlignment; }

 private:
  static constexpr int64_t kAlignment = 64;
  static std::byte* align(std::byte* pointer) {
    auto address = reinterpret_cast<uintptr_t>(pointer);
    return reinterpret_cast<std::byte*>((address + kAlignment - 1) / kAlignment * kAlignment);
  }
  std::span<std::byte> memory_;
  int64_t used_ = 0;
};

}  // namespace tenon::cpu
