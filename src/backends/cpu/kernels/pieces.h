#pragma once

#include "backends/cpu/kernels/ranges.h"
#include "base/checked.h"

namespace tenon::cpu {

// Elements handled at once by elementwise ops: two or three f32 buffers of them stay in L1.
inline constexpr int64_t kPiece = 1024;

// Calls work(row, column, n) for pieces of at most kPiece elements that cover rows x columns, on
// several threads where there is enough to do.
template <class Work>
void for_pieces(int64_t rows, int64_t columns, Work work) {
  int64_t pieces_of_row = ceil_div(columns, kPiece);
  // Narrow rows go to a thread in larger lots: the wake-up costs about as much as 4 pieces.
  int64_t grain = columns == 0 ? 1 : std::max<int64_t>(4, 4 * kPiece / std::min(columns, kPiece));
  for_ranges(rows * pieces_of_row, grain, [&](int, int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      int64_t column = piece % pieces_of_row * kPiece;
      work(piece / pieces_of_row, column, std::min(kPiece, columns - column));
    }
  });
}

}  // namespace tenon::cpu
