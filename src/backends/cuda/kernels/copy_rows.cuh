#pragma once

#include "backends/cuda/kernels/device/cover.cuh"
#include "backends/cuda/kernels/matrix.cuh"
#include "backends/cuda/launch.h"

// Rows moved without conversion, as the widest integers their alignment allows.
namespace tenon::cuda {

struct AllRows {
  __device__ int64_t operator()(int64_t row) const { return row; }
};

namespace device {

// As RowLayout::offset; divisions of 32 bits where that will do cost a quarter.
__device__ __forceinline__ int64_t short_offset(const RowLayout& layout, int64_t row) {
  if (layout.outer == 1 || row >> 32 != 0) return layout.offset(row);
  auto rest = static_cast<uint32_t>(row);
  int64_t result = 0;
  for (int axis = layout.outer - 1; axis > 0; --axis) {
    auto extent = static_cast<uint32_t>(layout.extents[axis]);
    uint32_t above = rest / extent;
    result += static_cast<int64_t>(rest - above * extent) * layout.strides[axis];
    rest = above;
  }
  return result + rest * layout.strides[0];
}

// Source row pick(row); a row outside [0, x_rows) gives NaNs, so that the fault shows.
template <class Unit, class Pick>
__global__ void copy_rows_kernel(const Unit* x, RowLayout x_layout, int64_t x_rows, Unit* y,
                                 RowLayout y_layout, int64_t rows, int64_t units, Pick pick) {
  let_next_start();
  wait_for_previous();
  struct Row {
    int64_t x, y;
  };
  for_each_unit(
      rows, units,
      [&](int64_t row) {
        int64_t from = pick(row);
        bool inside = from >= 0 && from < x_rows;
        return Row{inside ? short_offset(x_layout, from) : -1, short_offset(y_layout, row)};
      },
      [&](const Row& row, int64_t unit) {
        Unit value;
        if (row.x >= 0) {
          value = x[row.x + unit * x_layout.step];
        } else {
          memset(&value, 0xFF, sizeof value);
        }
        y[row.y + unit * y_layout.step] = value;
      });
}

}  // namespace device

template <class Unit, class Pick>
void start_copy_rows(const ops::RunArgs& args, std::string_view name, const TensorView& x,
                     const TensorView& y, Pick pick) {
  TensorView from = in_units(x, sizeof(Unit)), to = in_units(y, sizeof(Unit));
  auto [grid, block] = cover(to.rows(), to.columns());
  launch(device::copy_rows_kernel<Unit, Pick>, name, {grid, block, 0, true}, stream_of(args),
         from.as<const Unit>(), row_layout(from), from.rows(), to.as<Unit>(), row_layout(to),
         to.rows(), to.columns(), pick);
}

template <class Pick>
void copy_rows(const ops::RunArgs& args, std::string_view name, const TensorView& x,
               const TensorView& y, Pick pick) {
  int64_t element = dtype_bits(x.dtype) / 8;
  if (rows_are_vectors(x, 16 / element) && rows_are_vectors(y, 16 / element)) {
    start_copy_rows<uint4>(args, name, x, y, pick);
  } else if (element == 4 && rows_are_vectors(x, 2) && rows_are_vectors(y, 2)) {
    start_copy_rows<uint2>(args, name, x, y, pick);
  } else if (element == 4) {
    start_copy_rows<uint32_t>(args, name, x, y, pick);
  } else {
    start_copy_rows<uint16_t>(args, name, x, y, pick);
  }
}

}  // namespace tenon::cuda
