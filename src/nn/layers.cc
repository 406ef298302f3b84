#include "nn/layers.h"

#include "ops/binary.h"
#include "ops/embedding.h"
#include "ops/kv_cache.h"
#include "ops/layer_norm.h"
#include "ops/linear.h"
#include "ops/rms_norm.h"
#include "ops/rope.h"
#include "ops/slice.h"
#include "ops/unary.h"

namespace tenon::nn {
namespace {

template <class Op>
ValueId one(const Scope& scope, const Op& op, std::vector<ValueId> inputs) {
  return scope.graph().add_node1(
      {Op::kName, ops::to_attributes(op), std::move(inputs), scope.path(), 1});
}

Dim symbol(std::string_view name) {
  return Dim::symbol(name);
}

}  // namespace

ValueId Scope::weight(std::string_view name, const Extents& extents) const {
  std::string full = path_.empty() ? std::string(name) : path_ + "." + std::string(name);
  Recipe recipe = weights_->need(full, extents);
  return graph_->add_constant(full, recipe);
}

ValueId linear(const Scope& scope, ValueId x, const LinearOptions& options) {
  ValueId weight;
  if (options.stored_in_out) {
    std::string name = scope.path() + ".weight";
    weight = scope.graph().add_constant(
        name, Recipe::transpose(scope.weights().need(name, {options.in, options.out})));
  } else {
    weight = scope.weight("weight", {options.out, options.in});
  }
  ValueId bias = options.bias ? scope.weight("bias", {options.out}) : ir::kNone;
  return one(scope, ops::Linear{}, {x, weight, bias});
}

ValueId embedding(const Scope& scope, ValueId ids, int64_t vocabulary, int64_t hidden,
                  ValueId embeds) {
  ValueId table = scope.weight("weight", {vocabulary, hidden});
  return one(scope, ops::Embedding{.dtype = "f32"}, {ids, table, embeds});
}

ValueId rms_norm(const Scope& scope, ValueId x, int64_t size, double eps) {
  return one(scope, ops::RmsNorm{.eps = eps, .dtype = ""}, {x, scope.weight("weight", {size})});
}

ValueId layer_norm(const Scope& scope, ValueId x, int64_t size, double eps) {
  ValueId weight = scope.weight("weight", {size}), bias = scope.weight("bias", {size});
  return one(scope, ops::LayerNorm{.eps = eps, .dtype = ""}, {x, weight, bias});
}

ValueId unary(const Scope& scope, std::string_view kind, ValueId x) {
  return one(scope, ops::Unary{.kind = std::string(kind), .dtype = ""}, {x});
}

ValueId add(const Scope& scope, ValueId a, ValueId b) {
  return one(scope, ops::Binary{.kind = "add", .dtype = ""}, {a, b});
}

ValueId mul(const Scope& scope, ValueId a, ValueId b) {
  return one(scope, ops::Binary{.kind = "mul", .dtype = ""}, {a, b});
}

ValueId slice_columns(const Scope& scope, ValueId x, int64_t begin, int64_t end) {
  return one(scope, ops::Slice{.axis = 1, .begin = begin, .end = end}, {x});
}

RaggedInputs add_ragged_inputs(ir::Graph& graph, int64_t hidden) {
  RaggedInputs inputs;
  Dim tokens = symbol("tokens"), seqs = symbol("seqs");
  inputs.ids = graph.add_input("ids", {DType::I32, {tokens}, {}});
  inputs.embeds = graph.add_input("embeds", {DType::F32, {symbol("embed_rows"), hidden}, {}});
  inputs.positions = graph.add_input("positions", {DType::I32, {tokens}, {}});
  inputs.seq_offsets = graph.add_input("seq_offsets", {DType::I32, {seqs + 1}, {}});
  inputs.kv_lengths = graph.add_input("kv_lengths", {DType::I32, {seqs}, {}});
  inputs.block_table =
      graph.add_input("block_table", {DType::I32, {seqs, symbol("max_blocks")}, {}});
  inputs.logit_rows = graph.add_input("logit_rows", {DType::I32, {symbol("rows")}, {}});
  return inputs;
}

ValueId cached_attention(const Scope& scope, ValueId q, ValueId k, ValueId v,
                         const RaggedInputs& inputs, const AttentionOptions& attention,
                         const RotaryOptions& rotary) {
  if (rotary.inv_freq != ir::kNone) {
    ops::Rope rope{attention.head_dim, rotary.interleaved, rotary.scale};
    q = one(scope / "rope_q", rope, {q, inputs.positions, rotary.inv_freq});
    k = one(scope / "rope_k", rope, {k, inputs.positions, rotary.inv_freq});
  }
  ValueId cache = scope.graph().add_state(
      "cache." + std::to_string(attention.layer),
      {DType::F32,
       {symbol("cache_blocks"), 2, attention.kv_heads, symbol("block_size"), attention.head_dim},
       {}});
  ops::KvAppend append{attention.kv_heads, attention.head_dim};
  scope.graph().add_node({ops::KvAppend::kName,
                          ops::to_attributes(append),
                          {k, v, inputs.seq_offsets, inputs.kv_lengths, inputs.block_table, cache},
                          (scope / "kv_append").path(),
                          0});
  ops::PagedAttention op{attention.heads,  attention.kv_heads, attention.head_dim,
                         attention.window, attention.scale,    attention.softcap};
  return one(scope / "attention", op,
             {q, inputs.seq_offsets, inputs.kv_lengths, inputs.block_table, cache});
}

}  // namespace tenon::nn
