// Shape rules that are too long for their headers.
#include "base/text.h"
#include "ops/binary.h"
#include "ops/embedding.h"
#include "ops/glu.h"
#include "ops/kv_cache.h"
#include "ops/layer_norm.h"
#include "ops/linear.h"
#include "ops/quantised_linear.h"
#include "ops/rms_norm.h"
#include "ops/rope.h"
#include "ops/sample.h"
#include "ops/slice.h"
#include "ops/unary.h"
#include "tensor/formats/quantised_weight.h"

namespace tenon::ops {
namespace {

Error bad(std::string_view problem, std::string_view argument) {
  return Error(ErrorCode::BadInput, problem).at(argument);
}

void need_positive(int64_t value, std::string_view attribute) {
  if (value <= 0) throw bad("attribute must be positive", attribute).got(std::to_string(value));
}

// Shared by the two norms: weight, optional bias at `bias`, residual at `residual`.
void infer_norm(InferContext& context, double eps, const std::string& dtype, size_t residual) {
  if (!(eps > 0)) throw bad("eps must be above 0", "eps").got(format_double(eps));
  context.need_float(0, "x");
  const ValueType& x = context.input(0);
  if (x.shape.empty()) throw bad("input needs at least one axis", "x");
  context.need_rank(1, 1, "weight");
  context.need_equal(context.input(1).shape[0], x.shape.back(), "weight");
  if (context.has(residual)) {
    context.need_rank(residual, x.shape.size(), "residual");
    for (size_t i = 0; i < x.shape.size(); ++i) {
      context.need_equal(context.input(residual).shape[i], x.shape[i], "residual");
    }
  }
  context.set_output(0, {dtype_attribute(dtype, x.dtype), x.shape, {}});
  if (context.output_count() > 1) context.set_output(1, {x.dtype, x.shape, {}});
}

}  // namespace

void check_kind(std::string_view kind, const std::string_view* kinds, size_t count,
                std::string_view op) {
  std::vector<std::string> names;
  for (size_t i = 0; i < count; ++i) {
    if (kinds[i] == kind) return;
    names.emplace_back(kinds[i]);
  }
  throw Error(ErrorCode::Unsupported, "unknown kind").at(op).got(kind).accepted(join(names, ", "));
}

void Binary::infer(InferContext& context) {
  Binary op = read_attributes<Binary>(context.attributes());
  check_kind(op.kind, kBinaryKinds, std::size(kBinaryKinds), kName);
  context.need_float(0, "a");
  context.need_float(1, "b");
  const ValueType &a = context.input(0), &b = context.input(1);
  size_t rank = std::max(a.shape.size(), b.shape.size());
  Shape shape(rank);
  for (size_t i = 0; i < rank; ++i) {
    bool in_a = i + a.shape.size() >= rank, in_b = i + b.shape.size() >= rank;
    Dim from_a = in_a ? a.shape[i + a.shape.size() - rank] : Dim(1);
    Dim from_b = in_b ? b.shape[i + b.shape.size() - rank] : Dim(1);
    if (from_a == Dim(1)) {
      shape[i] = from_b;
    } else {
      if (!(from_b == Dim(1))) context.need_equal(from_a, from_b, "broadcast");
      shape[i] = from_a;
    }
  }
  context.set_output(0, {dtype_attribute(op.dtype, a.dtype), shape, {}});
}

void Slice::infer(InferContext& context) {
  Slice op = read_attributes<Slice>(context.attributes());
  ValueType type = context.input(0);
  if (op.axis < 0 || op.axis >= static_cast<int64_t>(type.shape.size())) {
    throw bad("axis is outside the input", "axis").got(std::to_string(op.axis));
  }
  Dim& dim = type.shape[op.axis];
  if (op.begin < 0 || op.end < op.begin || (dim.is_constant() && op.end > dim.constant())) {
    throw bad("range is outside the axis", "slice")
        .got(std::to_string(op.begin) + ":" + std::to_string(op.end))
        .accepted("within " + dim.to_string());
  }
  dim = op.end - op.begin;
  context.set_output(0, type);
}

void Embedding::infer(InferContext& context) {
  Embedding op = read_attributes<Embedding>(context.attributes());
  context.need_rank(0, 1, "ids");
  context.need_dtype(0, DType::I32, "ids");
  context.need_rank(1, 2, "table");
  context.need_float(1, "table");
  const ValueType& table = context.input(1);
  if (context.has(2)) {
    context.need_rank(2, 2, "embeds");
    context.need_dtype(2, DType::F32, "embeds");
    context.need_equal(context.input(2).shape[1], table.shape[1], "embeds");
  }
  context.set_output(
      0, {dtype_attribute(op.dtype, table.dtype), {context.input(0).shape[0], table.shape[1]}, {}});
}

void Linear::infer(InferContext& context) {
  Linear op = read_attributes<Linear>(context.attributes());
  if (!op.activation.empty()) check_kind(op.activation, kUnaryKinds, std::size(kUnaryKinds), kName);
  context.need_float(0, "x");
  context.need_rank(1, 2, "weight");
  const ValueType &x = context.input(0), &weight = context.input(1);
  if (x.shape.empty()) throw bad("input needs at least one axis", "x");
  context.need_equal(x.shape.back(), weight.shape[1], "x and weight");
  Shape shape = x.shape;
  shape.back() = weight.shape[0];
  if (context.has(2)) {
    context.need_rank(2, 1, "bias");
    context.need_equal(context.input(2).shape[0], weight.shape[0], "bias");
  }
  if (context.has(3)) {
    context.need_rank(3, shape.size(), "residual");
    context.need_equal(context.input(3).shape.back(), weight.shape[0], "residual");
  }
  context.set_output(0, {dtype_attribute(op.dtype, x.dtype), shape, {}});
}

namespace {

// The extents that a quantised weight's component must have.
void need_extents(InferContext& context, size_t port, const Extents& wanted,
                  std::string_view name) {
  context.need_rank(port, static_cast<size_t>(wanted.rank()), name);
  for (int i = 0; i < wanted.rank(); ++i) {
    context.need_equal(context.input(port).shape[i], Dim(wanted[i]), name);
  }
}

void check_components(InferContext& context, const QuantisedLinear& op) {
  need_positive(op.out, "out");
  need_positive(op.in, "in");
  if (op.in > kMostQuantisedInputs) {
    throw bad("too many inputs for sums of 32 bits", "in")
        .got(std::to_string(op.in))
        .accepted("at most " + std::to_string(kMostQuantisedInputs));
  }
  if (!op.x_codes.empty() && op.x_codes != "i8") {
    throw bad("unknown codes of x", "x_codes").got(op.x_codes).accepted("\"\" or \"i8\"");
  }
  QuantSpec spec = op.spec(context.input(1).dtype, context.input(2).dtype, context.has(3));
  need_extents(context, 1, code_extents(spec, op.out, op.in), "codes");
  need_extents(context, 2, scale_extents(spec, op.out, op.in), "scales");
  if (!context.has(3)) return;
  context.need_dtype(3, DType::U8, "zeros");
  need_extents(context, 3, scale_extents(spec, op.out, op.in), "zeros");
}

}  // namespace

void QuantisedLinear::infer(InferContext& context) {
  QuantisedLinear op = read_attributes<QuantisedLinear>(context.attributes());
  if (!op.activation.empty()) check_kind(op.activation, kUnaryKinds, std::size(kUnaryKinds), kName);
  context.need_float(0, "x");
  const ValueType& x = context.input(0);
  if (x.shape.empty()) throw bad("input needs at least one axis", "x");
  check_components(context, op);
  context.need_equal(x.shape.back(), Dim(op.in), "x and weight");
  Shape shape = x.shape;
  shape.back() = op.out;
  if (context.has(4)) {
    context.need_rank(4, 1, "bias");
    context.need_equal(context.input(4).shape[0], Dim(op.out), "bias");
  }
  if (context.has(5)) {
    context.need_rank(5, shape.size(), "residual");
    context.need_equal(context.input(5).shape.back(), Dim(op.out), "residual");
  }
  context.set_output(0, {dtype_attribute(op.dtype, x.dtype), shape, {}});
}

void RmsNorm::infer(InferContext& context) {
  RmsNorm op = read_attributes<RmsNorm>(context.attributes());
  infer_norm(context, op.eps, op.dtype, 2);
}

void LayerNorm::infer(InferContext& context) {
  LayerNorm op = read_attributes<LayerNorm>(context.attributes());
  if (context.has(2)) {
    context.need_rank(2, 1, "bias");
    context.need_equal(context.input(2).shape[0], context.input(0).shape.back(), "bias");
  }
  infer_norm(context, op.eps, op.dtype, 3);
}

void Glu::infer(InferContext& context) {
  Glu op = read_attributes<Glu>(context.attributes());
  check_kind(op.kind, kUnaryKinds, std::size(kUnaryKinds), kName);
  context.need_float(0, "x");
  const ValueType& x = context.input(0);
  if (x.shape.empty()) throw bad("input needs at least one axis", "x");
  if (x.shape.back().is_constant() && x.shape.back().constant() % 2 != 0) {
    throw bad("last axis must be even", "x").got(tenon::to_string(x));
  }
  Shape shape = x.shape;
  shape.back() = floor_div(x.shape.back(), 2);
  context.set_output(0, {dtype_attribute(op.dtype, x.dtype), shape, {}});
}

void Rope::infer(InferContext& context) {
  Rope op = read_attributes<Rope>(context.attributes());
  need_positive(op.head_dim, "head_dim");
  context.need_float(0, "x");
  context.need_rank(0, 2, "x");
  context.need_rank(1, 1, "positions");
  context.need_dtype(1, DType::I32, "positions");
  context.need_rank(2, 1, "inv_freq");
  context.need_dtype(2, DType::F32, "inv_freq");
  const Dim& pairs = context.input(2).shape[0];
  if (pairs.is_constant() && pairs.constant() * 2 > op.head_dim) {
    throw bad("rotates more than a head has", "inv_freq").got(pairs.to_string());
  }
  context.set_output(0, context.input(0));
}

void check_ragged_inputs(InferContext& context, size_t first, int64_t kv_heads, int64_t head_dim) {
  context.need_rank(first, 1, "seq_offsets");
  context.need_rank(first + 1, 1, "kv_lengths");
  context.need_rank(first + 2, 2, "block_table");
  context.need_rank(first + 3, 5, "cache");
  for (size_t i = 0; i < 3; ++i) context.need_dtype(first + i, DType::I32, "ragged input");
  const Shape& cache = context.input(first + 3).shape;
  context.need_equal(cache[1], Dim(2), "cache");
  context.need_equal(cache[2], Dim(kv_heads), "cache kv_heads");
  context.need_equal(cache[4], Dim(head_dim), "cache head_dim");
}

void KvAppend::infer(InferContext& context) {
  KvAppend op = read_attributes<KvAppend>(context.attributes());
  need_positive(op.kv_heads, "kv_heads");
  need_positive(op.head_dim, "head_dim");
  for (size_t i = 0; i < 2; ++i) {
    context.need_rank(i, 2, i == 0 ? "k" : "v");
    context.need_equal(context.input(i).shape[1], Dim(op.kv_heads * op.head_dim),
                       i == 0 ? "k" : "v");
  }
  check_ragged_inputs(context, 2, op.kv_heads, op.head_dim);
}

void PagedAttention::infer(InferContext& context) {
  PagedAttention op = read_attributes<PagedAttention>(context.attributes());
  need_positive(op.heads, "heads");
  need_positive(op.kv_heads, "kv_heads");
  need_positive(op.head_dim, "head_dim");
  if (op.heads % op.kv_heads != 0) throw bad("heads must be a multiple of kv_heads", "heads");
  context.need_rank(0, 2, "q");
  context.need_equal(context.input(0).shape[1], Dim(op.heads * op.head_dim), "q");
  check_ragged_inputs(context, 1, op.kv_heads, op.head_dim);
  const ValueType& q = context.input(0);
  context.set_output(0, {dtype_attribute(op.dtype, q.dtype), q.shape, {}});
}

void RopeKvAppend::infer(InferContext& context) {
  RopeKvAppend op = read_attributes<RopeKvAppend>(context.attributes());
  need_positive(op.heads, "heads");
  need_positive(op.kv_heads, "kv_heads");
  need_positive(op.head_dim, "head_dim");
  context.need_rank(0, 2, "qkv");
  const ValueType& qkv = context.input(0);
  context.need_equal(qkv.shape[1], Dim((op.heads + 2 * op.kv_heads) * op.head_dim), "qkv");
  context.need_dtype(1, DType::I32, "positions");
  if (context.has(2)) context.need_dtype(2, DType::F32, "inv_freq");
  check_ragged_inputs(context, 3, op.kv_heads, op.head_dim);
  DType dtype = dtype_attribute(op.dtype, qkv.dtype);
  context.set_output(0, {dtype, {qkv.shape[0], Dim(op.heads * op.head_dim)}, {}});
}

void Sample::infer(InferContext& context) {
  context.need_rank(0, 2, "logits");
  context.need_dtype(0, DType::F32, "logits");
  for (size_t i : {1, 3, 4, 5}) context.need_dtype(i, DType::F32, "sampling parameter");
  for (size_t i : {2, 6, 7}) context.need_dtype(i, DType::I32, "sampling parameter");
  Dim rows = context.input(0).shape[0];
  context.set_output(0, {DType::I32, {rows}, {}});
  context.set_output(1, {DType::F32, {rows}, {}});
}

}  // namespace tenon::ops
