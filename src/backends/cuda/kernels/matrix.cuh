#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "backends/cuda/kernels/device/array.cuh"
#include "tensor/tensor.h"

namespace tenon::cuda {

// Where the rows of a tensor lie: all axes but the last flattened, whatever the strides. Axes that
// follow each other in memory are merged, so that there is nearly always one.
struct RowLayout {
  int64_t step = 1;  // from column to column
  int outer = 1;
  int64_t extents[kMaxRank] = {};
  int64_t strides[kMaxRank] = {};

  __host__ __device__ int64_t offset(int64_t row) const {
    if (outer == 1) return row * strides[0];
    int64_t result = 0;
    for (int axis = outer - 1; axis > 0; --axis) {
      result += row % extents[axis] * strides[axis];
      row /= extents[axis];
    }
    return result + row * strides[0];
  }
};

RowLayout row_layout(const TensorView& view);

// A tensor as rows, in a kernel.
template <class T>
struct Matrix {
  device::Array<T> array;
  RowLayout layout;

  template <int N>
  __device__ __forceinline__ void load(int64_t row_offset, int64_t column, float (&to)[N]) const {
    if constexpr (N == 1) {
      array.load(row_offset + column * layout.step, to);
    } else {
      array.load(row_offset + column, to);
    }
  }
  template <int N>
  __device__ __forceinline__ void store(int64_t row_offset, int64_t column,
                                        const float (&from)[N]) const {
    if constexpr (N == 1) {
      array.store(row_offset + column * layout.step, from);
    } else {
      array.store(row_offset + column, from);
    }
  }
};

// One element, as f32.
template <class T>
__device__ __forceinline__ float get(const Matrix<T>& from, int64_t row, int64_t column) {
  float value[1];
  from.load(from.layout.offset(row), column, value);
  return value[0];
}

template <class T>
device::Array<T> array_of(const TensorView& view) {
  if constexpr (std::is_same_v<T, device::Any>) {
    return {view.data, view.dtype};
  } else {
    return {view.as<T>()};
  }
}
template <class T>
Matrix<T> matrix_of(const TensorView& view) {
  return {array_of<T>(view), row_layout(view)};
}

// Whether rows may be read in whole vectors of `elements`. An undefined view may.
bool rows_are_vectors(const TensorView& view, int64_t elements);

// The view in units of `bytes`: several elements of a row counted as one. The dtype stays and does
// not describe the units.
TensorView in_units(const TensorView& view, int64_t bytes);

// The view repeated to `extents`: stride 0 where it has one element or no axis.
TensorView broadcast_to(const TensorView& view, const Extents& extents);

// Merges all axes into one row where every view is contiguous, so that short rows cost nothing.
void flatten_if_contiguous(TensorView& x, TensorView& y);

// Blocks of 256 threads over rows (y) and units of columns (x). Kernels loop with CoverLoop.
struct Cover {
  dim3 grid, block;
};
Cover cover(int64_t rows, int64_t units);

}  // namespace tenon::cuda
