#pragma once

#include <string>

#include "ops/op.h"

namespace tenon::ops {

// Attention without a cache: out[b, i, h] = softmax_j(scale * q[b, i, h] . k[b, j, h] + bias) v[b,
// j, h], in f32.
// q [batch, queries, heads * head_dim]; k, v [batch, keys, heads * head_dim]; each may have a batch
// of 1 instead, shared by all -> out [batch, queries, heads * head_dim].
//
// Decomposed relative positions (SAM, MViT): with rel_h [2 * grid_h - 1, head_dim] and rel_w
// [2 * grid_w - 1, head_dim], queries and keys are the cells of a grid in row-major order, and
// bias = q[b, i, h] . rel_h[row_i - row_j + grid_h - 1] + q[b, i, h] . rel_w[column_i - column_j +
// grid_w - 1], with q not scaled. Without them bias is 0.
//
// Windows (`window` > 0): a cell attends the cells of its own window of window x window cells,
// which begin at the grid's first cell; positions, rel_h and rel_w [2 * window - 1, head_dim] then
// are those in the window. Windows at the lower and right edge may reach beyond the grid: every
// cell there is a key with k = pad_k and v = pad_v [heads * head_dim], zeros where those are
// absent.
struct Attention {
  static constexpr std::string_view kName = "attention";
  int64_t heads = 0, head_dim = 0, grid_h = 0, grid_w = 0, window = 0;
  double scale = 1.0;
  std::string dtype = "";  // of out; "" means q's

  template <class V>
  void visit(V&& v) {
    v("heads", heads);
    v("head_dim", head_dim);
    v("grid_h", grid_h);
    v("grid_w", grid_w);
    v("window", window);
    v("scale", scale);
    v("dtype", dtype);
  }
  static void infer(InferContext& context);
  static OpDef def() {
    return define_op<Attention>({{"q"},
                                 {"k"},
                                 {"v"},
                                 {"rel_h", PortKind::Optional},
                                 {"rel_w", PortKind::Optional},
                                 {"pad_k", PortKind::Optional},
                                 {"pad_v", PortKind::Optional}},
                                {{"out"}}, "out = softmax(scale q k^T + q rel) v");
  }
};

}  // namespace tenon::ops
