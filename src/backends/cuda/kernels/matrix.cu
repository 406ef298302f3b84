#include "backends/cuda/kernels/matrix.cuh"

#include <algorithm>

namespace tenon::cuda {

RowLayout row_layout(const TensorView& view) {
  RowLayout layout;
  layout.extents[0] = 1;
  if (view.rank() == 0) return layout;
  layout.step = view.strides.back();
  int outer = 0;
  for (int axis = 0; axis + 1 < view.rank(); ++axis) {
    int64_t extent = view.extents[axis], stride = view.strides[axis];
    if (extent == 1) continue;
    if (outer > 0 && layout.strides[outer - 1] == stride * extent) {
      layout.extents[outer - 1] *= extent;
      layout.strides[outer - 1] = stride;
      continue;
    }
    layout.extents[outer] = extent;
    layout.strides[outer++] = stride;
  }
  layout.outer = std::max(outer, 1);
  return layout;
}

bool rows_are_vectors(const TensorView& view, int64_t elements) {
  if (!view.defined()) return true;
  if (view.columns() % elements != 0 || (view.rank() && view.strides.back() != 1)) return false;
  for (int axis = 0; axis + 1 < view.rank(); ++axis) {
    if (view.extents[axis] > 1 && view.strides[axis] % elements != 0) return false;
  }
  int64_t alignment = std::min<int64_t>(16, elements * dtype_bits(view.dtype) / 8);
  return reinterpret_cast<uintptr_t>(view.data) % static_cast<uintptr_t>(alignment) == 0;
}

TensorView in_units(const TensorView& view, int64_t bytes) {
  int64_t ratio = bytes * 8 / dtype_bits(view.dtype);
  TensorView result = view;
  if (ratio == 1 || view.rank() == 0) return result;
  for (int axis = 0; axis + 1 < view.rank(); ++axis) result.strides[axis] /= ratio;
  result.extents[view.rank() - 1] /= ratio;
  return result;
}

TensorView broadcast_to(const TensorView& view, const Extents& extents) {
  TensorView result = view;
  result.extents = extents;
  result.strides = extents;
  for (int axis = 0; axis < extents.rank(); ++axis) {
    int own = axis - (extents.rank() - view.rank());
    result.strides[axis] = own >= 0 && view.extents[own] != 1 ? view.strides[own] : 0;
  }
  return result;
}

void flatten_if_contiguous(TensorView& x, TensorView& y) {
  if (!x.is_contiguous() || !y.is_contiguous()) return;
  x = x.reshaped({x.count()});
  y = y.reshaped({y.count()});
}

Cover cover(int64_t rows, int64_t units) {
  constexpr int64_t kThreads = 256, kMostAcross = 1 << 16, kMostDown = 65535;
  int64_t wide = 1;
  while (wide < units && wide < kThreads) wide *= 2;
  int64_t high = kThreads / wide;
  auto blocks = [](int64_t count, int64_t size, int64_t most) {
    return static_cast<unsigned>(std::min((count + size - 1) / size, most));
  };
  return {dim3(blocks(units, wide, kMostAcross), blocks(rows, high, kMostDown)),
          dim3(static_cast<unsigned>(wide), static_cast<unsigned>(high))};
}

}  // namespace tenon::cuda
