// Shape rules of the ops that move, join and mix whole tensors: pictures, windows, batches.
#include "base/text.h"
#include "ops/attention.h"
#include "ops/concat.h"
#include "ops/conv.h"
#include "ops/fourier_features.h"
#include "ops/image_prep.h"
#include "ops/kinds.h"
#include "ops/mask_post.h"
#include "ops/matmul.h"
#include "ops/pad.h"
#include "ops/reshape.h"
#include "ops/resize.h"
#include "ops/transpose.h"

namespace tenon::ops {
namespace {

Error bad(std::string_view problem, std::string_view argument) {
  return Error(ErrorCode::BadInput, problem).at(argument);
}

void need_count(const std::vector<int64_t>& values, size_t count, int64_t least,
                std::string_view attribute) {
  bool good = values.size() == count;
  for (int64_t value : values) good = good && value >= least;
  if (!good) {
    throw bad("attribute needs " + std::to_string(count) + " numbers, none below " +
                  std::to_string(least),
              attribute)
        .got(to_string(Attribute(values)));
  }
}

// The count of elements where every dim is constant.
std::optional<int64_t> constant_count(const Shape& shape) {
  int64_t count = 1;
  for (const Dim& dim : shape) {
    if (!dim.is_constant()) return std::nullopt;
    count *= dim.constant();
  }
  return count;
}

Dim convolved(const Dim& size, int64_t padding, int64_t kernel, int64_t dilation, int64_t stride) {
  return floor_div(size + Dim(padding - dilation * (kernel - 1) - 1), Dim(stride)) + Dim(1);
}

}  // namespace

void Transpose::infer(InferContext& context) {
  Transpose op = read_attributes<Transpose>(context.attributes());
  const ValueType& x = context.input(0);
  std::vector<bool> seen(x.shape.size(), false);
  bool good = op.permutation.size() == x.shape.size();
  Shape shape;
  for (int64_t axis : op.permutation) {
    good = good && axis >= 0 && axis < static_cast<int64_t>(seen.size()) && !seen[axis];
    if (!good) break;
    seen[axis] = true;
    shape.push_back(x.shape[axis]);
  }
  if (!good) {
    throw bad("permutation must name every axis once", "permutation")
        .got(to_string(Attribute(op.permutation)))
        .accepted("an order of " + std::to_string(x.shape.size()) + " axes");
  }
  context.set_output(0, {x.dtype, shape, x.quant});
}

void Reshape::infer(InferContext& context) {
  Reshape op = read_attributes<Reshape>(context.attributes());
  const ValueType& x = context.input(0);
  Shape shape;
  for (const std::string& dim : op.shape) shape.push_back(Dim::parse(dim));
  std::optional<int64_t> from = constant_count(x.shape), to = constant_count(shape);
  if (from && to && *from != *to) {
    throw bad("reshape keeps the count of elements", "shape")
        .got(to_string(shape))
        .accepted("a shape of " + std::to_string(*from) + " elements");
  }
  context.set_output(0, {x.dtype, shape, {}});
}

void Concat::infer(InferContext& context) {
  Concat op = read_attributes<Concat>(context.attributes());
  if (context.input_count() == 0) throw bad("concat needs a part", "parts");
  ValueType type = context.input(0);
  if (op.axis < 0 || op.axis >= static_cast<int64_t>(type.shape.size())) {
    throw bad("axis is outside the parts", "axis").got(std::to_string(op.axis));
  }
  for (size_t i = 1; i < context.input_count(); ++i) {
    context.need_rank(i, type.shape.size(), "parts");
    context.need_dtype(i, type.dtype, "parts");
    const Shape& part = context.input(i).shape;
    for (size_t axis = 0; axis < part.size(); ++axis) {
      if (static_cast<int64_t>(axis) == op.axis) {
        type.shape[axis] = type.shape[axis] + part[axis];
      } else if (type.shape[axis] == Dim(1)) {
        type.shape[axis] = part[axis];
      } else if (!(part[axis] == Dim(1))) {
        context.need_equal(type.shape[axis], part[axis], "parts");
      }
    }
  }
  context.set_output(0, type);
}

void Pad::infer(InferContext& context) {
  Pad op = read_attributes<Pad>(context.attributes());
  ValueType type = context.input(0);
  need_count(op.before, type.shape.size(), 0, "before");
  need_count(op.after, type.shape.size(), 0, "after");
  for (size_t axis = 0; axis < type.shape.size(); ++axis) {
    type.shape[axis] = type.shape[axis] + Dim(op.before[axis] + op.after[axis]);
  }
  context.set_output(0, type);
}

void Matmul::infer(InferContext& context) {
  Matmul op = read_attributes<Matmul>(context.attributes());
  context.need_float(0, "a");
  context.need_float(1, "b");
  const ValueType &a = context.input(0), &b = context.input(1);
  size_t rank = a.shape.size();
  if (rank < 2) throw bad("input needs at least two axes", "a").got(tenon::to_string(a));
  context.need_rank(1, rank, "b");
  for (size_t i = 0; i + 2 < rank; ++i) context.need_equal(a.shape[i], b.shape[i], "a and b");
  size_t inner = op.transpose_b ? rank - 1 : rank - 2;
  context.need_equal(a.shape[rank - 1], b.shape[inner], "a and b");
  Shape shape = a.shape;
  shape[rank - 1] = b.shape[op.transpose_b ? rank - 2 : rank - 1];
  context.set_output(0, {dtype_attribute(op.dtype, a.dtype), shape, {}});
}

void Conv::infer(InferContext& context) {
  Conv op = read_attributes<Conv>(context.attributes());
  if (!op.activation.empty()) check_kind(op.activation, kUnaryKinds, std::size(kUnaryKinds), kName);
  need_count(op.strides, 2, 1, "strides");
  need_count(op.dilations, 2, 1, "dilations");
  need_count(op.pads, 4, 0, "pads");
  context.need_float(0, "x");
  context.need_rank(0, 4, "x");
  context.need_rank(1, 4, "weight");
  const ValueType& x = context.input(0);
  const Shape& weight = context.input(1).shape;
  for (const Dim& dim : weight) {
    if (!dim.is_constant()) throw bad("weight needs constant dims", "weight");
  }
  if (op.groups < 1 || weight[0].constant() % op.groups != 0) {
    throw bad("groups must divide the outputs", "groups").got(std::to_string(op.groups));
  }
  context.need_equal(x.shape[3], weight[3] * Dim(op.groups), "x and weight");
  if (context.has(2)) {
    context.need_rank(2, 1, "bias");
    context.need_equal(context.input(2).shape[0], weight[0], "bias");
  }
  Dim height = convolved(x.shape[1], op.pads[0] + op.pads[2], weight[1].constant(), op.dilations[0],
                         op.strides[0]);
  Dim width = convolved(x.shape[2], op.pads[1] + op.pads[3], weight[2].constant(), op.dilations[1],
                        op.strides[1]);
  if ((height.is_constant() && height.constant() < 1) ||
      (width.is_constant() && width.constant() < 1)) {
    throw bad("the kernel is larger than the padded picture", "x").got(tenon::to_string(x));
  }
  context.set_output(
      0, {dtype_attribute(op.dtype, x.dtype), {x.shape[0], height, width, weight[0]}, {}});
}

void Resize::infer(InferContext& context) {
  Resize op = read_attributes<Resize>(context.attributes());
  check_kind(op.kind, kResizeKinds, std::size(kResizeKinds), kName);
  context.need_float(0, "x");
  context.need_rank(0, 4, "x");
  const ValueType& x = context.input(0);
  Dim height = Dim::parse(op.height), width = Dim::parse(op.width);
  context.set_output(0, {x.dtype, {x.shape[0], height, width, x.shape[3]}, {}});
}

void ImagePrep::infer(InferContext& context) {
  const size_t ranks[] = {3, 2, 2, 1, 1};
  const char* names[] = {"x", "taps_y", "taps_x", "mean", "deviation"};
  const DType types[] = {DType::U8, DType::I32, DType::I32, DType::F32, DType::F32};
  for (size_t i = 0; i < 5; ++i) {
    context.need_rank(i, ranks[i], names[i]);
    context.need_dtype(i, types[i], names[i]);
  }
  context.need_equal(context.input(0).shape[2], Dim(3), "x");
  for (size_t i : {3, 4}) context.need_equal(context.input(i).shape[0], Dim(3), names[i]);
  context.set_output(
      0, {DType::F32, {context.input(1).shape[0], context.input(2).shape[0], Dim(3)}, {}});
}

void MaskPost::infer(InferContext& context) {
  const size_t ranks[] = {3, 1, 3, 2, 1};
  const char* names[] = {"masks", "chosen", "taps_y", "taps_x", "levels"};
  for (size_t i = 0; i < 5; ++i) {
    context.need_rank(i, ranks[i], names[i]);
    context.need_dtype(i, i == 1 ? DType::I32 : DType::F32, names[i]);
  }
  const Shape &taps_y = context.input(2).shape, &taps_x = context.input(3).shape;
  context.need_equal(taps_y[1], Dim(32), "taps_y");
  context.need_equal(taps_y[2], Dim(4), "taps_y");
  context.need_equal(taps_x[1], Dim(4), "taps_x");
  context.need_equal(context.input(4).shape[0], Dim(3), "levels");
  Dim chosen = context.input(1).shape[0];
  context.set_output(0, {DType::I32, {chosen, taps_x[0], taps_y[0]}, {}});
  context.set_output(1, {DType::I32, {chosen, Dim(6)}, {}});
}

void FourierFeatures::infer(InferContext& context) {
  context.need_float(0, "x");
  context.need_float(1, "frequencies");
  context.need_rank(1, 2, "frequencies");
  const ValueType& x = context.input(0);
  if (x.shape.empty()) throw bad("input needs at least one axis", "x");
  const Shape& frequencies = context.input(1).shape;
  context.need_equal(x.shape.back(), frequencies[0], "x and frequencies");
  Shape shape = x.shape;
  shape.back() = Dim(2) * frequencies[1];
  context.set_output(0, {x.dtype, shape, {}});
}

namespace {

// Relative positions, windows and what lies beyond the grid.
void check_positions(InferContext& context, const Attention& op) {
  if (context.has(3) != context.has(4)) throw bad("rel_h and rel_w go together", "rel_h");
  if (context.has(5) != context.has(6)) throw bad("pad_k and pad_v go together", "pad_k");
  if (context.has(5) && op.window == 0) throw bad("pads need a window", "pad_k");
  if (op.window < 0) throw bad("attribute must not be negative", "window");
  if (!context.has(3) && op.window == 0) return;
  if (op.grid_h <= 0 || op.grid_w <= 0) {
    throw bad("relative positions and windows need a grid", "grid_h");
  }
  for (size_t i = 0; i < 2; ++i) {
    context.need_equal(context.input(i).shape[1], Dim(op.grid_h * op.grid_w), "grid");
  }
  for (size_t i = 3; context.has(3) && i < 5; ++i) {
    int64_t side = op.window > 0 ? op.window : i == 3 ? op.grid_h : op.grid_w;
    context.need_float(i, "rel");
    context.need_rank(i, 2, "rel");
    context.need_equal(context.input(i).shape[0], Dim(2 * side - 1), "rel");
    context.need_equal(context.input(i).shape[1], Dim(op.head_dim), "rel");
  }
  for (size_t i = 5; context.has(5) && i < 7; ++i) {
    context.need_float(i, "pad");
    context.need_rank(i, 1, "pad");
    context.need_equal(context.input(i).shape[0], Dim(op.heads * op.head_dim), "pad");
  }
}

}  // namespace

void Attention::infer(InferContext& context) {
  Attention op = read_attributes<Attention>(context.attributes());
  if (op.heads <= 0) throw bad("attribute must be positive", "heads");
  if (op.head_dim <= 0) throw bad("attribute must be positive", "head_dim");
  Dim batch = 1;
  for (size_t i = 0; i < 3; ++i) {
    std::string_view name = i == 0 ? "q" : i == 1 ? "k" : "v";
    context.need_float(i, name);
    context.need_rank(i, 3, name);
    context.need_equal(context.input(i).shape[2], Dim(op.heads * op.head_dim), name);
    const Dim& of_input = context.input(i).shape[0];
    if (!(of_input == Dim(1)) && !(batch == Dim(1))) context.need_equal(of_input, batch, name);
    if (batch == Dim(1)) batch = of_input;
  }
  context.need_equal(context.input(1).shape[1], context.input(2).shape[1], "k and v");
  check_positions(context, op);
  const ValueType& q = context.input(0);
  context.set_output(0, {dtype_attribute(op.dtype, q.dtype), {batch, q.shape[1], q.shape[2]}, {}});
}

}  // namespace tenon::ops
