#pragma once

#include "backends/cpu/kernels/row_access.h"
#include "ops/attention.h"

// What every form of `attention` has to know of its tensors: sizes, and where the row of a query or
// key lies when a picture is cut into windows.
namespace tenon::cpu {

struct AttentionShape {
  int64_t batch, queries, keys, heads, head_dim;
  int64_t grid_h, grid_w;  // that positions count: of the grid or of a window; 0: no positions
  int64_t window;          // side of a window; 0: none. Each window is a batch of its own
  int64_t cells_h, cells_w, windows_across, windows;  // of one picture that is cut into windows
};

AttentionShape attention_shape(const ops::Attention& op, const Extents& q, const Extents& k,
                               const Extents& v, bool relative);

struct AttentionTensors {
  explicit AttentionTensors(const ops::RunArgs& args);

  RowAccess q, k, v, rel_h, rel_w, out;
  int64_t q_batch, k_batch, v_batch, q_rows, kv_rows;
  TensorView pad_k, pad_v;  // [heads * head_dim], or undefined
};

inline constexpr int64_t kMostHeadDim = 512;

// The rows of one head of one batch.
class HeadRows {
 public:
  HeadRows(const AttentionShape& shape, const AttentionTensors& tensors, int64_t batch,
           int64_t head)
      : shape_(shape), tensors_(tensors), batch_(batch), column_(head * shape.head_dim) {}

  const void* key(int64_t i) const {
    return key_row(tensors_.k, tensors_.k_batch, tensors_.pad_k, i);
  }
  const void* value(int64_t i) const {
    return key_row(tensors_.v, tensors_.v_batch, tensors_.pad_v, i);
  }
  // Some row for a query beyond the grid: nobody reads what comes of it.
  const void* query(int64_t i) const {
    int64_t cell = std::max<int64_t>(cell_of(i), 0);
    return tensors_.q.at(first_row(tensors_.q_batch, tensors_.q_rows) + cell, column_);
  }
  // Null for a query beyond the grid.
  void* result(int64_t i) const {
    int64_t cell = cell_of(i);
    if (cell < 0) return nullptr;
    return tensors_.out.at(batch_ / shape_.windows * tensors_.q_rows + cell, column_);
  }

 private:
  // Which row of its picture a query or key is; -1: a cell of a window beyond the grid.
  int64_t cell_of(int64_t i) const;
  // The first row of this batch's picture; a batch of one serves all.
  int64_t first_row(int64_t batches, int64_t rows) const {
    return (batches == 1 ? 0 : batch_ / shape_.windows) * rows;
  }
  const void* key_row(const RowAccess& rows, int64_t batches, const TensorView& pad,
                      int64_t i) const;

  const AttentionShape& shape_;
  const AttentionTensors& tensors_;
  int64_t batch_, column_;
};

}  // namespace tenon::cpu
