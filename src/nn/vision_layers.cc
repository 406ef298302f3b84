#include "nn/vision_layers.h"

#include <cmath>

#include "ops/attention.h"
#include "ops/concat.h"
#include "ops/conv.h"
#include "ops/linear.h"
#include "ops/matmul.h"
#include "ops/reshape.h"
#include "ops/slice.h"
#include "ops/transpose.h"

namespace tenon::nn {
namespace {

template <class Op>
ValueId one(const Scope& scope, const Op& op, std::vector<ValueId> inputs) {
  return scope.graph().add_node1(
      {Op::kName, ops::to_attributes(op), std::move(inputs), scope.path(), 1});
}

}  // namespace

ValueId reshape(const Scope& scope, ValueId x, const Shape& shape) {
  ops::Reshape op;
  for (const Dim& dim : shape) op.shape.push_back(dim.to_string());
  return one(scope, op, {x});
}

ValueId transpose(const Scope& scope, ValueId x, std::vector<int64_t> permutation) {
  return one(scope, ops::Transpose{std::move(permutation)}, {x});
}

ValueId slice(const Scope& scope, ValueId x, int64_t axis, int64_t begin, int64_t end) {
  return one(scope, ops::Slice{.axis = axis, .begin = begin, .end = end}, {x});
}

ValueId concat(const Scope& scope, std::vector<ValueId> parts, int64_t axis) {
  return one(scope, ops::Concat{axis}, std::move(parts));
}

ValueId matmul(const Scope& scope, ValueId a, ValueId b, bool transpose_b) {
  return one(scope, ops::Matmul{.transpose_b = transpose_b}, {a, b});
}

ValueId literal(const Scope& scope, std::string_view name, Tensor value) {
  return scope.graph().add_constant((scope / name).path(),
                                    Recipe::literal(std::make_shared<Tensor>(std::move(value))));
}

namespace {

// [out, in, k, k] as the channels-last ops read it: [out, k, k, in].
Recipe channels_last(const Scope& scope, const ConvOptions& options) {
  return Recipe::permute(
      scope.weights().need((scope / "weight").path(),
                           {options.out, options.in, options.kernel, options.kernel}),
      {0, 2, 3, 1});
}

ValueId bias_of(const Scope& scope, const ConvOptions& options) {
  return options.bias ? scope.weight("bias", {options.out}) : ir::kNone;
}

}  // namespace

ValueId conv(const Scope& scope, ValueId x, const ConvOptions& options) {
  ValueId weight =
      scope.graph().add_constant((scope / "weight").path(), channels_last(scope, options));
  ops::Conv op;
  op.strides = {options.stride, options.stride};
  op.pads = {options.pad, options.pad, options.pad, options.pad};
  return one(scope, op, {x, weight, bias_of(scope, options)});
}

ValueId conv_as_linear(const Scope& scope, ValueId x, const ConvOptions& options) {
  int64_t width = options.kernel * options.kernel * options.in;
  ValueId weight = scope.graph().add_constant(
      (scope / "weight").path(),
      Recipe::reshape(channels_last(scope, options), {options.out, width}));
  return one(scope, ops::Linear{}, {x, weight, bias_of(scope, options)});
}

ValueId conv_transpose_2x2(const Scope& scope, ValueId x, int64_t in, int64_t out,
                           std::string_view activation) {
  Recipe stored = scope.weights().need((scope / "weight").path(), {in, out, 2, 2});
  Recipe rows = Recipe::reshape(Recipe::permute(stored, {2, 3, 1, 0}), {4 * out, in});
  Recipe bias = scope.weights().need((scope / "bias").path(), {out});
  ValueId weight = scope.graph().add_constant((scope / "weight").path(), rows);
  ValueId shift = scope.graph().add_constant((scope / "bias").path(),
                                             Recipe::concat({bias, bias, bias, bias}, 0));
  ValueId y = one(scope, ops::Linear{}, {x, weight, shift});
  if (!activation.empty()) y = unary(scope / "activation", activation, y);
  Shape shape = scope.graph().value(y).type.shape;
  shape.back() = 4;
  shape.push_back(out);
  return reshape(scope, y, shape);
}

ValueId patches(const Scope& scope, ValueId x, int64_t side, int64_t size, int64_t channels) {
  int64_t count = side / size;
  x = reshape(scope, x, {count, size, count, size, channels});
  x = transpose(scope, x, {0, 2, 1, 3, 4});
  return reshape(scope, x, {count * count, size * size * channels});
}

ValueId attention(const Scope& scope, ValueId q, ValueId k, ValueId v,
                  const DenseAttention& options) {
  ops::Attention op{.heads = options.heads,
                    .head_dim = options.head_dim,
                    .grid_h = options.grid_h,
                    .grid_w = options.grid_w,
                    .window = options.window,
                    .scale = 1.0 / std::sqrt(static_cast<double>(options.head_dim)),
                    .dtype = ""};
  std::vector<ValueId> inputs = {q, k, v, options.rel_h, options.rel_w};
  if (options.pad_k != ir::kNone) inputs.insert(inputs.end(), {options.pad_k, options.pad_v});
  return one(scope, op, std::move(inputs));
}

}  // namespace tenon::nn
