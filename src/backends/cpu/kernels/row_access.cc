#include "backends/cpu/kernels/row_access.h"

namespace tenon::cpu {
namespace {

bool is_plain_float(const ops::TensorDesc& tensor) {
  return !tensor.quant &&
         (tensor.dtype == DType::F32 || tensor.dtype == DType::F16 || tensor.dtype == DType::BF16);
}

ops::Support support_tensors(const std::vector<ops::TensorDesc>& tensors,
                             std::initializer_list<size_t> indices, std::string_view what) {
  for (size_t index : indices) {
    if (index >= tensors.size() || !tensors[index].present) continue;
    if (is_plain_float(tensors[index])) continue;
    return ops::Support::no(std::string(what) + " " + std::to_string(index) +
                            (tensors[index].quant ? " is quantised" : " is not f32, f16 or bf16"));
  }
  return ops::Support::yes();
}

}  // namespace

RowAccess::RowAccess(const TensorView& view) : view_(view) {
  if (!view.defined()) return;
  base_ = static_cast<std::byte*>(view.data);
  dtype_ = view.dtype;
  count_ = view.rows();
  columns_ = view.columns();
  element_bytes_ = dtype_bits(view.dtype) / 8;
  int rank = view.rank();
  TENON_CHECK(rank == 0 || view.strides[rank - 1] == 1 || columns_ <= 1);
  pitch_ = rank >= 2 ? view.strides[rank - 2] : columns_;
  for (int axis = 0; axis + 2 < rank; ++axis) {
    dense_ = dense_ && view.strides[axis] == view.strides[axis + 1] * view.extents[axis + 1];
  }
}

int64_t RowAccess::offset_of(int64_t row) const {
  int64_t offset = 0;
  for (int axis = view_.rank() - 2; axis >= 0; --axis) {
    offset += row % view_.extents[axis] * view_.strides[axis];
    row /= view_.extents[axis];
  }
  return offset;
}

ops::Support support_floats(const ops::OpDesc& desc, std::initializer_list<size_t> inputs,
                            std::initializer_list<size_t> outputs) {
  ops::Support support = support_tensors(desc.inputs, inputs, "input");
  return support.ok ? support_tensors(desc.outputs, outputs, "output") : support;
}

}  // namespace tenon::cpu
