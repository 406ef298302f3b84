#include "tensor/tensor.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include "base/checked.h"
#include "base/thread_pool.h"
#include "tensor/float_formats.h"

namespace tenon {
namespace {

// Calls row(from_offset, to_offset) for each row of the last axis, in elements.
template <class Row>
void for_each_row(const TensorView& from, const TensorView& to, Row row) {
  int rank = from.rank();
  int64_t rows = from.rows();
  process_thread_pool().parallel_for(rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t index = begin; index < end; ++index) {
      int64_t rest = index, from_offset = 0, to_offset = 0;
      for (int axis = rank - 2; axis >= 0; --axis) {
        int64_t at = rest % from.extents[axis];
        rest /= from.extents[axis];
        from_offset += at * from.strides[axis];
        to_offset += at * to.strides[axis];
      }
      row(from_offset, to_offset);
    }
  });
}

template <class From, class To>
void convert_rows(const TensorView& from, const TensorView& to) {
  int64_t columns = from.columns();
  int64_t from_step = from.rank() ? from.strides.back() : 1,
          to_step = to.rank() ? to.strides.back() : 1;
  for_each_row(from, to, [&](int64_t from_offset, int64_t to_offset) {
    const From* source = from.as<const From>() + from_offset;
    To* target = to.as<To>() + to_offset;
    for (int64_t i = 0; i < columns; ++i) {
      if constexpr (std::is_same_v<From, To>) {
        target[i * to_step] = source[i * from_step];
      } else if constexpr (std::is_same_v<From, double>) {
        target[i * to_step] = from_float<To>(static_cast<float>(source[i * from_step]));
      } else if constexpr (std::is_same_v<To, double>) {
        target[i * to_step] = to_float(source[i * from_step]);
      } else {
        target[i * to_step] = from_float<To>(to_float(source[i * from_step]));
      }
    }
  });
}

template <class From>
bool convert_from(const TensorView& from, const TensorView& to) {
  switch (to.dtype) {
    case DType::F32:
      return convert_rows<From, float>(from, to), true;
    case DType::F16:
      return convert_rows<From, f16_t>(from, to), true;
    case DType::BF16:
      return convert_rows<From, bf16_t>(from, to), true;
    case DType::F64:
      return convert_rows<From, double>(from, to), true;
    default:
      return false;
  }
}

void copy_same_type(const TensorView& from, const TensorView& to) {
  switch (dtype_bits(from.dtype)) {
    case 8:
      return convert_rows<uint8_t, uint8_t>(from, to);
    case 16:
      return convert_rows<uint16_t, uint16_t>(from, to);
    case 32:
      return convert_rows<uint32_t, uint32_t>(from, to);
    case 64:
      return convert_rows<uint64_t, uint64_t>(from, to);
    default:
      throw Error(ErrorCode::Unsupported, "strided copy of a sub-byte type")
          .got(dtype_name(from.dtype));
  }
}

}  // namespace

Extents contiguous_strides(const Extents& extents) {
  Extents strides = extents;
  int64_t step = 1;
  for (int axis = extents.rank() - 1; axis >= 0; --axis) {
    strides[axis] = step;
    step *= extents[axis];
  }
  return strides;
}

TensorView::TensorView(const void* pointer, DType type, const Extents& sizes)
    : data(const_cast<void*>(pointer)),
      dtype(type),
      extents(sizes),
      strides(contiguous_strides(sizes)) {}

bool TensorView::is_contiguous() const {
  int64_t step = 1;
  for (int axis = extents.rank() - 1; axis >= 0; --axis) {
    if (extents[axis] != 1 && strides[axis] != step) return false;
    step *= extents[axis];
  }
  return true;
}

TensorView TensorView::slice(int axis, int64_t begin, int64_t end) const {
  TENON_CHECK(axis >= 0 && axis < rank() && begin >= 0 && begin <= end && end <= extents[axis]);
  TensorView part = *this;
  int64_t bits = begin * strides[axis] * dtype_bits(dtype);
  TENON_CHECK(bits % 8 == 0);
  part.data = static_cast<std::byte*>(data) + bits / 8;
  part.extents[axis] = end - begin;
  return part;
}

TensorView TensorView::permuted(std::span<const int64_t> axes) const {
  TENON_CHECK(static_cast<int>(axes.size()) == rank());
  TensorView result = *this;
  for (int i = 0; i < rank(); ++i) {
    result.extents[i] = extents[static_cast<int>(axes[i])];
    result.strides[i] = strides[static_cast<int>(axes[i])];
  }
  return result;
}

TensorView TensorView::reshaped(const Extents& sizes) const {
  TENON_CHECK(is_contiguous() && sizes.count() == count());
  return TensorView(data, dtype, sizes);
}

void Tensor::Free::operator()(void* pointer) const {
  std::free(pointer);
}

Tensor Tensor::make(DType dtype, const Extents& extents) {
  int64_t count = checked_product(extents.span(), "tensor");
  int64_t bytes = round_up(std::max<int64_t>(dtype_bytes(dtype, count), 1), 64);
  Tensor tensor;
  tensor.memory_.reset(std::aligned_alloc(64, bytes));
  if (!tensor.memory_) {
    throw Error(ErrorCode::OutOfMemory, "cannot allocate a tensor")
        .got(std::to_string(bytes) + " bytes");
  }
  tensor.view_ = TensorView(tensor.memory_.get(), dtype, extents);
  return tensor;
}

Tensor Tensor::make_zeros(DType dtype, const Extents& extents) {
  Tensor tensor = make(dtype, extents);
  std::memset(tensor.view_.data, 0, tensor.view_.bytes());
  return tensor;
}

void copy_convert(const TensorView& from, const TensorView& to) {
  TENON_CHECK(from.extents == to.extents);
  if (from.count() == 0) return;
  if (from.dtype == to.dtype) {
    if (from.is_contiguous() && to.is_contiguous()) {
      std::memcpy(to.data, from.data, from.bytes());
    } else {
      copy_same_type(from, to);
    }
    return;
  }
  bool done = false;
  if (from.dtype == DType::F32) done = convert_from<float>(from, to);
  if (from.dtype == DType::F16) done = convert_from<f16_t>(from, to);
  if (from.dtype == DType::BF16) done = convert_from<bf16_t>(from, to);
  if (from.dtype == DType::F64) done = convert_from<double>(from, to);
  if (!done) {
    throw Error(ErrorCode::Unsupported, "no conversion between these element types")
        .got(std::string(dtype_name(from.dtype)) + " to " + std::string(dtype_name(to.dtype)))
        .accepted("f32, f16, bf16, f64");
  }
}

Tensor make_f32(const TensorView& from) {
  Tensor tensor = Tensor::make(DType::F32, from.extents);
  copy_convert(from, tensor);
  return tensor;
}

}  // namespace tenon
