#include "backends/cpu/kernels/attention_rows.h"

#include <algorithm>

namespace tenon::cpu {
namespace {

// A row of k or v beyond the grid where none is given.
alignas(64) constexpr std::byte kZeros[kMostHeadDim * sizeof(float)] = {};

RowAccess rows_or_none(const ops::RunArgs& args, size_t index) {
  TensorView view = input_or_none(args, index);
  return view.defined() ? RowAccess(view) : RowAccess();
}

}  // namespace

AttentionShape attention_shape(const ops::Attention& op, const Extents& q, const Extents& k,
                               const Extents& v, bool relative) {
  AttentionShape shape{};
  shape.batch = std::max({q[0], k[0], v[0]});
  shape.queries = q[1], shape.keys = k[1];
  shape.heads = op.heads, shape.head_dim = op.head_dim;
  shape.grid_h = relative ? op.grid_h : 0, shape.grid_w = relative ? op.grid_w : 0;
  shape.windows = 1;
  if (op.window > 0) {
    shape.window = op.window, shape.cells_h = op.grid_h, shape.cells_w = op.grid_w;
    shape.windows_across = ceil_div(op.grid_w, op.window);
    shape.windows = shape.windows_across * ceil_div(op.grid_h, op.window);
    shape.batch *= shape.windows;
    shape.queries = shape.keys = op.window * op.window;
    if (relative) shape.grid_h = shape.grid_w = op.window;
  }
  return shape;
}

AttentionTensors::AttentionTensors(const ops::RunArgs& args)
    : q(args.inputs[0]),
      k(args.inputs[1]),
      v(args.inputs[2]),
      rel_h(rows_or_none(args, 3)),
      rel_w(rows_or_none(args, 4)),
      out(args.outputs[0]),
      q_batch(args.inputs[0].extents[0]),
      k_batch(args.inputs[1].extents[0]),
      v_batch(args.inputs[2].extents[0]),
      q_rows(args.inputs[0].extents[1]),
      kv_rows(args.inputs[1].extents[1]),
      pad_k(input_or_none(args, 5)),
      pad_v(input_or_none(args, 6)) {}

int64_t HeadRows::cell_of(int64_t i) const {
  if (shape_.window == 0) return i;
  int64_t at = batch_ % shape_.windows;
  int64_t y = at / shape_.windows_across * shape_.window + i / shape_.window;
  int64_t x = at % shape_.windows_across * shape_.window + i % shape_.window;
  return y < shape_.cells_h && x < shape_.cells_w ? y * shape_.cells_w + x : -1;
}

const void* HeadRows::key_row(const RowAccess& rows, int64_t batches, const TensorView& pad,
                              int64_t i) const {
  int64_t cell = cell_of(i);
  if (cell >= 0) return rows.at(first_row(batches, tensors_.kv_rows) + cell, column_);
  if (!pad.defined()) return kZeros;
  return static_cast<const std::byte*>(pad.data) +
         column_ * pad.strides[0] * dtype_bits(pad.dtype) / 8;
}

}  // namespace tenon::cpu
