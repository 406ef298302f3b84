#include <algorithm>
#include <optional>

#include "ops/kv_cache.h"
#include "ops/linear.h"
#include "ops/rope.h"
#include "ops/slice.h"
#include "passes/fuse/pack_linears.h"
#include "passes/pipeline.h"
#include "passes/rewrite.h"

namespace tenon::passes {
namespace {

// What one attention layer is made of.
struct Site {
  ir::NodeId append = ir::kNone;
  ir::ValueId q = ir::kNone, k = ir::kNone, v = ir::kNone;       // as attention and cache see them
  ir::ValueId q_projected = ir::kNone, k_projected = ir::kNone;  // before rotation
  ir::ValueId positions = ir::kNone, inv_freq = ir::kNone;
  ops::RopeKvAppend op;
};

// The attention that reads what the append wrote, for the same ragged batch.
ir::NodeId attention_after(const ir::Graph& graph, ir::NodeId append) {
  const std::vector<ir::ValueId>& ragged = graph.node(append).inputs;
  for (ir::NodeId user : graph.users(ragged[5])) {
    const ir::Node& node = graph.node(user);
    if (user <= append || node.op != ops::PagedAttention::kName) continue;
    if (std::equal(ragged.begin() + 2, ragged.end(), node.inputs.begin() + 1)) return user;
  }
  return ir::kNone;
}

// The fused op wants positions even where it does not rotate; every language graph has them.
ir::ValueId positions_input(const ir::Graph& graph, ir::ValueId q) {
  for (ir::ValueId id : graph.inputs()) {
    const ir::Value& input = graph.value(id);
    bool named =
        std::find(input.names.begin(), input.names.end(), "positions") != input.names.end();
    const ValueType& type = input.type;
    if (named && type.dtype == DType::I32 && type.shape.size() == 1 &&
        type.shape[0] == graph.value(q).type.shape[0]) {
      return id;
    }
  }
  return ir::kNone;
}

// Fills in the rotation: none of q and k, or the same of both.
bool find_rotation(const ir::Graph& graph, Site& site) {
  ir::NodeId of_q = producer_of(graph, site.q, ops::Rope::kName);
  ir::NodeId of_k = producer_of(graph, site.k, ops::Rope::kName);
  if ((of_q == ir::kNone) != (of_k == ir::kNone)) return false;
  site.q_projected = site.q;
  site.k_projected = site.k;
  if (of_q == ir::kNone) {
    site.positions = positions_input(graph, site.q);
    return site.positions != ir::kNone;
  }
  const ir::Node &q_node = graph.node(of_q), &k_node = graph.node(of_k);
  ops::Rope q_rope = op_of<ops::Rope>(q_node), k_rope = op_of<ops::Rope>(k_node);
  if (!(ops::to_attributes(q_rope) == ops::to_attributes(k_rope))) return false;
  if (!std::equal(q_node.inputs.begin() + 1, q_node.inputs.end(), k_node.inputs.begin() + 1)) {
    return false;
  }
  site.q_projected = q_node.inputs[0];
  site.k_projected = k_node.inputs[0];
  site.positions = q_node.inputs[1];
  site.inv_freq = q_node.inputs[2];
  site.op.interleaved = q_rope.interleaved;
  site.op.scale = q_rope.scale;
  return q_rope.head_dim == site.op.head_dim && is_only_for(graph, site.q_projected, of_q) &&
         is_only_for(graph, site.k_projected, of_k);
}

std::optional<Site> find_site(const ir::Graph& graph, ir::NodeId append) {
  ir::NodeId reader = attention_after(graph, append);
  if (reader == ir::kNone) return std::nullopt;
  ops::KvAppend write = op_of<ops::KvAppend>(graph.node(append));
  ops::PagedAttention read = op_of<ops::PagedAttention>(graph.node(reader));
  if (write.kv_heads != read.kv_heads || write.head_dim != read.head_dim) return std::nullopt;

  Site site;
  site.append = append;
  site.q = graph.node(reader).inputs[0];
  site.k = graph.node(append).inputs[0];
  site.v = graph.node(append).inputs[1];
  site.op.heads = read.heads;
  site.op.kv_heads = read.kv_heads;
  site.op.head_dim = read.head_dim;
  // q appears only where the append stands, so nothing may read it earlier.
  if (graph.users(site.q).front() <= append) return std::nullopt;
  if (!is_only_for(graph, site.k, append) || !is_only_for(graph, site.v, append)) {
    return std::nullopt;
  }
  if (!find_rotation(graph, site)) return std::nullopt;
  return site;
}

// The value that three slices cut into q, k and v from end to end, else kNone.
ir::ValueId packed_by_model(const ir::Graph& graph, const Site& site) {
  ir::ValueId packed = ir::kNone;
  int64_t at = 0;
  for (ir::ValueId part : {site.q_projected, site.k_projected, site.v}) {
    ir::NodeId id = producer_of(graph, part, ops::Slice::kName);
    if (id == ir::kNone) return ir::kNone;
    const ir::Node& node = graph.node(id);
    ops::Slice slice = op_of<ops::Slice>(node);
    if (packed == ir::kNone) packed = node.inputs[0];
    if (node.inputs[0] != packed || slice.axis != 1 || slice.begin != at) return ir::kNone;
    at = slice.end;
  }
  const Shape& shape = graph.value(packed).type.shape;
  int64_t width = (site.op.heads + 2 * site.op.kv_heads) * site.op.head_dim;
  bool agrees = shape.size() == 2 && shape[1] == Dim(at) && at == width;
  return agrees ? packed : ir::kNone;
}

// The packed projection, made or found; kNone where there is none.
ir::ValueId packed_projection(ir::Graph& graph, const Site& site) {
  ir::ValueId packed = packed_by_model(graph, site);
  if (packed != ir::kNone) {
    bool rotates = site.q_projected != site.q;
    if (rotates) inherit_names(graph, packed, site.q_projected);
    if (rotates) inherit_names(graph, packed, site.k_projected);
    inherit_names(graph, packed, site.v);
    return packed;
  }
  ir::NodeId linears[] = {producer_of(graph, site.q_projected, ops::Linear::kName),
                          producer_of(graph, site.k_projected, ops::Linear::kName),
                          producer_of(graph, site.v, ops::Linear::kName)};
  return can_pack_linears(graph, linears) ? pack_linears(graph, linears) : ir::kNone;
}

bool fuse_append(ir::Graph& graph, ir::NodeId append) {
  const ir::Graph& before = graph;
  if (before.node(append).op != ops::KvAppend::kName) return false;
  std::optional<Site> site = find_site(graph, append);
  if (!site) return false;
  ir::ValueId packed = packed_projection(graph, *site);
  if (packed == ir::kNone) return false;

  const ir::Node& node = before.node(append);
  ir::NodeSpec spec{ops::RopeKvAppend::kName,
                    ops::to_attributes(site->op),
                    {packed, site->positions, site->inv_freq},
                    node.module};
  spec.inputs.insert(spec.inputs.end(), node.inputs.begin() + 2, node.inputs.end());
  fuse_into(graph, append, spec, site->q, {site->k});
  return true;
}

}  // namespace

// q, k and v projections of one x, the rotation of q and k and the write to the cache become one
// linear of stacked weights and one rope_kv_append: x is read once, and k and v go from the product
// straight into the cache. Also for models that rotate nothing, and for those whose checkpoint has
// the projections packed already and slices them apart.
size_t qkv(ir::Graph& graph, const PassOptions&) {
  size_t changes = 0;
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    changes += fuse_append(graph, static_cast<ir::NodeId>(i));
  }
  graph.erase_dead_nodes();
  return changes;
}

}  // namespace tenon::passes
