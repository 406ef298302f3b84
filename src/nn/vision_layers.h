#pragma once

#include <string>
#include <vector>

#include "nn/layers.h"

// Layers over pictures and token grids, channels last throughout: a picture [n, h, w, c] and its
// cells as tokens [n, h * w, c] are the same memory.
namespace tenon::nn {

ValueId reshape(const Scope& scope, ValueId x, const Shape& shape);
ValueId transpose(const Scope& scope, ValueId x, std::vector<int64_t> permutation);
ValueId slice(const Scope& scope, ValueId x, int64_t axis, int64_t begin, int64_t end);
ValueId concat(const Scope& scope, std::vector<ValueId> parts, int64_t axis);
ValueId matmul(const Scope& scope, ValueId a, ValueId b, bool transpose_b);

// Shared across the module tree: a computed constant.
ValueId literal(const Scope& scope, std::string_view name, Tensor value);

struct ConvOptions {
  int64_t in = 0, out = 0, kernel = 1;
  int64_t stride = 1, pad = 0;
  bool bias = false;
};
// x [n, h, w, in] -> [n, h', w', out]; the checkpoint holds [out, in, kernel, kernel].
ValueId conv(const Scope& scope, ValueId x, const ConvOptions& options);
// A kernel of 1 on rows x [..., in], and one whose stride is its size, on squares that patches()
// made: both are products. Kernel k: x [..., k * k * in].
ValueId conv_as_linear(const Scope& scope, ValueId x, const ConvOptions& options);
// A transposed convolution with stride = kernel = 2: x [..., in] -> [..., 4, out], the four pixels
// of each cell in row-major order; the checkpoint holds [in, out, 2, 2]. `activation`: none where
// empty, or a kind of `unary`, made of the product's rows.
ValueId conv_transpose_2x2(const Scope& scope, ValueId x, int64_t in, int64_t out,
                           std::string_view activation = "");

// x [side, side, channels] -> [(side / size)^2, size * size * channels]: squares in row-major
// order.
ValueId patches(const Scope& scope, ValueId x, int64_t side, int64_t size, int64_t channels);

struct DenseAttention {
  int64_t heads = 0, head_dim = 0;
  int64_t grid_h = 0, grid_w = 0;  // of the relative positions and the windows
  int64_t window = 0;              // cells attend those of their window; 0: all
  ValueId rel_h = ir::kNone, rel_w = ir::kNone;
  ValueId pad_k = ir::kNone, pad_v = ir::kNone;  // of cells of windows beyond the grid
};
// q [batch, queries, heads * head_dim], k and v [batch or 1, keys, ...]; scale is head_dim^-0.5.
ValueId attention(const Scope& scope, ValueId q, ValueId k, ValueId v,
                  const DenseAttention& options);

}  // namespace tenon::nn
