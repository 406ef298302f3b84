#pragma once

#include <cstdint>

namespace tenon::cuda::device {

// Calls work(row, unit) for this thread's share of a grid made by cover(). Rows are outermost, so
// that a row's offset is computed once: begin(row) gives what work gets of the row.
template <class Begin, class Work>
__device__ __forceinline__ void for_each_unit(int64_t rows, int64_t units, Begin begin, Work work) {
  int64_t row_step = static_cast<int64_t>(gridDim.y) * blockDim.y;
  int64_t unit_step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  int64_t first_unit = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  for (int64_t row = static_cast<int64_t>(blockIdx.y) * blockDim.y + threadIdx.y; row < rows;
       row += row_step) {
    auto state = begin(row);
    for (int64_t unit = first_unit; unit < units; unit += unit_step) work(state, unit);
  }
}

}  // namespace tenon::cuda::device
