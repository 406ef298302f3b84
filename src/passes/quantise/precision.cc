#include <algorithm>
#include <functional>
#include <map>
#include <optional>

#include "ops/attention.h"
#include "ops/binary.h"
#include "ops/cast.h"
#include "ops/conv.h"
#include "ops/embedding.h"
#include "ops/gather_rows.h"
#include "ops/glu.h"
#include "ops/kv_cache.h"
#include "ops/layer_norm.h"
#include "ops/linear.h"
#include "ops/matmul.h"
#include "ops/pad.h"
#include "ops/quantised_linear.h"
#include "ops/reshape.h"
#include "ops/rms_norm.h"
#include "ops/rope.h"
#include "ops/slice.h"
#include "ops/transpose.h"
#include "ops/unary.h"
#include "passes/pipeline.h"
#include "passes/rewrite.h"

namespace tenon::passes {
namespace {

bool is_any(const ir::Node& node, std::initializer_list<std::string_view> ops) {
  return std::find(ops.begin(), ops.end(), node.op) != ops.end();
}

// Ops that move values and have the type of what they move.
bool moves(const ir::Node& node) {
  return is_any(node, {ops::GatherRows::kName, ops::Slice::kName, ops::Reshape::kName,
                       ops::Transpose::kName, ops::Pad::kName});
}

// Of x (port 0) and weights (port 1), both in the asked type.
bool is_product(const ir::Node& node) {
  return is_any(node, {ops::Linear::kName, ops::Conv::kName});
}

bool scales(const ir::Node& node) {
  if (node.op != ops::Binary::kName) return false;
  std::string kind = op_of<ops::Binary>(node).kind;
  return kind == "mul" || kind == "div";
}

bool is_norm(const ir::Node& node) {
  return is_any(node, {ops::LayerNorm::kName, ops::RmsNorm::kName});
}

// Has another addend than products.
bool sums(const ir::Node& node) {
  if (node.op == ops::Linear::kName) return node.inputs[3] != ir::kNone;
  return node.op == ops::Binary::kName && !scales(node);
}

// Which values may be rounded: those that flow only between matmuls. The residual stream, graph
// outputs and inputs of ops this pass does not know are not among them. In f16 a stream of a
// picture's cells is, where each of its sums goes through a norm and nowhere else: norms keep it
// small, and every product rounds it anyway.
class Flow {
 public:
  Flow(const ir::Graph& graph, DType precision)
      : graph_(graph),
        rounds_normed_(precision == DType::F16),
        rounded_(graph.values().size(), false),
        given_out_(graph.values().size(), false) {
    // Users come later: their answers are known first.
    for (size_t i = graph.nodes().size(); i-- > 0;) {
      for (ir::ValueId id : graph.nodes()[i].outputs) decide(id);
    }
  }
  bool may_round(ir::ValueId id) const { return rounded_[id]; }

  // Cells of pictures that only norms without a residual read.
  bool is_only_normed(ir::ValueId id) const {
    const std::vector<ir::NodeId>& users = graph_.users(id);
    if (!is_of_cells(id) || graph_.is_output(id) || users.empty()) return false;
    return std::all_of(users.begin(), users.end(), [&](ir::NodeId user) {
      const std::vector<ir::ValueId>& reads = graph_.node(user).inputs;
      return is_norm(graph_.node(user)) && reads[0] == id &&
             std::count(reads.begin(), reads.end(), id) == 1 && reads.back() == ir::kNone;
    });
  }

 private:
  void decide(ir::ValueId id) {
    bool round = !graph_.is_output(id), out = graph_.is_output(id);
    for (ir::NodeId user : graph_.users(id)) {
      const ir::Node& node = graph_.node(user);
      out = out || (keeps_type(node) && given_out_[node.outputs[0]]);
      for (size_t port = 0; port < node.inputs.size(); ++port) {
        if (node.inputs[port] == id) round = round && takes_rounded(node, port);
      }
      round = round && node.regions.empty();
    }
    rounded_[id] = round;
    given_out_[id] = out;
  }

  static bool keeps_type(const ir::Node& node) {
    return is_any(node, {ops::Rope::kName, ops::RopeKvAppend::kName, ops::PagedAttention::kName});
  }

  // A batch of things that are as many in each: the cells of a picture, once for every prompt.
  bool is_of_cells(ir::ValueId id) const {
    const Shape& shape = graph_.value(id).type.shape;
    return rounds_normed_ && shape.size() >= 3 && !shape[0].is_constant() && shape[1].is_constant();
  }

  bool takes_rounded(const ir::Node& node, size_t port) const {
    if (node.op == ops::KvAppend::kName) return true;
    if (scales(node)) return rounded_[node.outputs[0]];
    if (is_product(node)) return port < 2 || (port == 3 && is_only_normed(node.outputs[0]));
    if (is_norm(node) && port == 0) return is_only_normed(node.inputs[0]);
    if (node.op == ops::Binary::kName && is_of_cells(node.outputs[0])) {
      return is_only_normed(node.outputs[0]) || rounded_[node.outputs[0]];
    }
    // Whatever is compared and mixed came out of products. The other side of a batched product has
    // the type of the result.
    if (node.op == ops::Attention::kName) return port < 3;
    if (node.op == ops::Matmul::kName) return port == 1;
    if (port != 0) return false;
    if (is_any(node, {ops::Glu::kName, ops::QuantisedLinear::kName})) return true;
    // The output has the input's type and must not change a graph output.
    if (keeps_type(node)) return !given_out_[node.outputs[0]];
    if (node.op == ops::Cast::kName) return op_of<ops::Cast>(node).dtype != "f32";
    return (node.op == ops::Unary::kName || moves(node)) && rounded_[node.outputs[0]];
  }

  const ir::Graph& graph_;
  bool rounds_normed_;
  std::vector<bool> rounded_, given_out_;
};

// Types by name. Of several names of one value the widest counts: a value that fusion removed
// speaks for the one that carries its name.
class NamedTypes {
 public:
  NamedTypes(const ir::Graph& graph, const PassOptions& options)
      : graph_(graph), options_(options) {}

  std::optional<DType> of(ir::ValueId id) const {
    std::optional<DType> widest;
    for (const std::string& name : graph_.value(id).names) {
      auto found = options_.types.find(name);
      if (found != options_.types.end() && (!widest || wider(found->second, *widest))) {
        widest = found->second;
      }
    }
    return widest;
  }
  // The type a product multiplies in.
  DType product(const ir::Node& node) const {
    if (std::optional<DType> listed = of(node.inputs[1])) return *listed;
    return of(node.inputs[0]).value_or(options_.precision);
  }
  DType cache(ir::ValueId state) const { return of(state).value_or(options_.precision); }

 private:
  // By range: a value is listed because the narrower ones do not hold it.
  static bool wider(DType a, DType b) {
    auto rank = [](DType dtype) { return dtype == DType::F32 ? 2 : dtype == DType::BF16 ? 1 : 0; };
    return rank(a) > rank(b);
  }
  const ir::Graph& graph_;
  const PassOptions& options_;
};

bool has_cache(const ir::Node& node) {
  return is_any(node, {ops::KvAppend::kName, ops::RopeKvAppend::kName, ops::PagedAttention::kName});
}

// The type for a node's first output, for ops that have a choice.
class WantedTypes {
 public:
  WantedTypes(const ir::Graph& graph, const PassOptions& options)
      : graph_(graph), options_(options), types_(graph, options), flow_(graph, options.precision) {}

  std::optional<DType> of(const ir::Node& node) const {
    bool chooses = is_any(
        node, {ops::Linear::kName, ops::Conv::kName, ops::RmsNorm::kName, ops::LayerNorm::kName,
               ops::Glu::kName, ops::Unary::kName, ops::Binary::kName, ops::Embedding::kName,
               ops::RopeKvAppend::kName, ops::PagedAttention::kName, ops::Attention::kName});
    if (!chooses) return std::nullopt;
    ir::ValueId y = node.outputs[0];
    if (graph_.is_output(y)) return graph_.value(y).type.dtype;  // the caller's interface
    if (node.op == ops::Embedding::kName) return DType::F32;
    // The library adds a residual of the result's type only.
    bool narrow = node.op != ops::Linear::kName || node.inputs[3] == ir::kNone ||
                  flow_.may_round(node.inputs[3]);
    if (sums(node) && !(narrow && flow_.is_only_normed(y))) return DType::F32;
    if (!flow_.may_round(y)) return DType::F32;
    // Attention multiplies q with the cache.
    if (node.op == ops::RopeKvAppend::kName) return types_.cache(node.inputs.back());
    std::vector<DType> demands;
    add_demands(y, demands);
    if (!demands.empty()) {
      bool same = std::adjacent_find(demands.begin(), demands.end(), std::not_equal_to<>()) ==
                  demands.end();
      return same ? demands[0] : DType::F32;
    }
    if (is_product(node)) return of_product(node);
    return types_.of(y).value_or(options_.precision);
  }

 private:
  // The types in which products read a value.
  void add_demands(ir::ValueId id, std::vector<DType>& demands) const {
    for (ir::NodeId user : graph_.users(id)) {
      const ir::Node& node = graph_.node(user);
      if (is_product(node) && node.inputs[0] == id) {
        demands.push_back(types_.product(node));
      } else if (moves(node)) {
        add_demands(node.outputs[0], demands);
      }
    }
  }

  // A product that no other product reads is written in the type it was multiplied in: no kernel
  // makes f16 of bf16. What a cache takes is rounded there, so a bf16 product is kept f32 until
  // then: q and k rounded before and after their rotation were most of the error of attention. They
  // are in Segment Anything's decoder, too (2.6e-2 of the norm, 2.0e-2 with them in f32); over a
  // whole picture they are rounded all the same, since tensor cores make that attention.
  DType of_product(const ir::Node& node) const {
    ir::ValueId y = node.outputs[0];
    bool compared = all_users(y, [&](const ir::Node& user) {
      return user.op == ops::RopeKvAppend::kName || (is_plain(user) && user.inputs[2] != y);
    });
    DType product = types_.product(node);
    if (compared && product == DType::BF16) return DType::F32;
    if (all_users(y,
                  [&](const ir::Node& user) { return is_few_keys(user) && user.inputs[0] != y; }))
      return DType::F32;
    return types_.of(y).value_or(product) == product ? product : DType::F32;
  }

  template <class Accept>
  bool all_users(ir::ValueId id, Accept accept) const {
    const std::vector<ir::NodeId>& users = graph_.users(id);
    return std::all_of(users.begin(), users.end(),
                       [&](ir::NodeId user) { return accept(graph_.node(user)); });
  }

  static bool is_plain(const ir::Node& node) {
    return node.op == ops::Attention::kName && node.inputs[3] == ir::kNone;
  }

  // A prompt's tokens looked at by all cells of a picture. What rounding does to one of these keys
  // or values it does to every cell alike, so that it does not average out: in f16 such a k and v
  // were half of the error of predicted IoUs. They are small; wide types cost nothing here.
  bool is_few_keys(const ir::Node& node) const {
    if (!is_plain(node)) return false;
    auto rows = [&](size_t port) { return graph_.value(node.inputs[port]).type.shape[1]; };
    return rows(0).is_constant() && !rows(1).is_constant();
  }

  const ir::Graph& graph_;
  const PassOptions& options_;
  NamedTypes types_;
  Flow flow_;
};

class Rounding {
 public:
  Rounding(ir::Graph& graph, const PassOptions& options)
      : graph_(graph), precision_(options.precision), types_(graph, options), options_(options) {}

  size_t run() {
    std::vector<std::optional<DType>> wanted;
    {
      const ir::Graph& before = graph_;
      WantedTypes types(before, options_);
      for (const ir::Node& node : before.nodes()) wanted.push_back(types.of(node));
    }
    size_t inserted = 0;
    for (size_t i = 0; i < wanted.size(); ++i) {
      ir::NodeId id = static_cast<ir::NodeId>(i + inserted);
      round_states(id);
      round_constants(id, wanted[i]);
      if (round_product_input(id)) {
        ++inserted;
        ++id;
      }
      if (wanted[i]) set_type(id, *wanted[i]);
      graph_.infer_node_again(id);
    }
    return changes_;
  }

 private:
  void round_states(ir::NodeId id) {
    const ir::Node& node = node_at(id);
    if (!has_cache(node)) return;
    DType wanted = types_.cache(node.inputs.back());
    ValueType& cache = graph_.value(node.inputs.back()).type;
    if (cache.quant || cache.dtype == wanted) return;
    cache.dtype = wanted;
    ++changes_;
  }

  // Weights of matmuls and tables become the precision; norm weights, biases and frequencies are
  // small and stay f32, so that kernels meet one type of them. A bias of a product whose result is
  // f16 is f16, too: the GPU's library adds one of that type only, and it costs 2^-12 of the bias.
  void round_constants(ir::NodeId id, std::optional<DType> result) {
    bool has_weight = is_product(node_at(id)) || node_at(id).op == ops::Embedding::kName;
    DType product = is_product(node_at(id)) ? types_.product(node_at(id)) : precision_;
    for (size_t port = 0; port < node_at(id).inputs.size(); ++port) {
      ir::ValueId input = node_at(id).inputs[port];
      if (input == ir::kNone) continue;
      const ir::Value& value = graph_.value(input);
      bool plain = value.kind == ir::ValueKind::Constant && !value.type.quant;
      if (!plain || !is_float(value.type.dtype)) continue;
      DType wanted = has_weight && port == 1 ? product : DType::F32;
      // Relative positions are multiplied with q; pads stand beside k and v.
      if (is_product(node_at(id)) && port == 2 && product == DType::F16 && result == product) {
        wanted = product;
      }
      if (node_at(id).op == ops::Attention::kName && port >= 3) {
        wanted = graph_.value(node_at(id).inputs[0]).type.dtype;
      }
      if (value.type.dtype == wanted) continue;
      graph_.node(id).inputs[port] = rounded_constant(input, wanted);
    }
  }

  ir::ValueId rounded_constant(ir::ValueId from, DType dtype) {
    auto [entry, added] = constants_.try_emplace({from, dtype}, ir::kNone);
    if (added) {
      const ir::Value& value = graph_.value(from);
      std::string name = value.names.empty() ? "constant" : value.names[0];
      entry->second = graph_.add_constant(name, Recipe::cast(*value.recipe, dtype));
      inherit_names(graph_, entry->second, from);
      ++changes_;
    }
    return entry->second;
  }

  // A product of 16-bit weights has a 16-bit x: one cast for all linears that read the same value.
  bool round_product_input(ir::NodeId id) {
    const ir::Node& node = node_at(id);
    if (!is_product(node)) return false;
    ir::ValueId x = node.inputs[0];
    DType dtype = graph_.value(node.inputs[1]).type.dtype;
    DType given = graph_.value(x).type.dtype;
    bool rounds = dtype_bits(dtype) == 16 && is_float(dtype);
    // Among 16-bit types every step must say f32 aloud; in an f32 plan x is f32 already.
    bool widens = dtype == DType::F32 && dtype_bits(given) == 16 && precision_ != DType::F32;
    if (given == dtype || (!rounds && !widens)) return false;
    auto [entry, added] = casts_.try_emplace({x, dtype}, ir::kNone);
    if (added) {
      ops::Cast cast{std::string(dtype_name(dtype))};
      std::string module = node.module.empty() ? "" : node.module + ".input_cast";
      ir::NodeSpec spec{ops::Cast::kName, ops::to_attributes(cast), {x}, module};
      entry->second = graph_.insert_node(id, spec).at(0);
      ++changes_;
    }
    graph_.node(added ? id + 1 : id).inputs[0] = entry->second;
    return added;
  }

  void set_type(ir::NodeId id, DType wanted) {
    const ir::Node& node = node_at(id);
    bool is_table = node.op == ops::Embedding::kName;
    DType follows = graph_.value(node.inputs[is_table ? 1 : 0]).type.dtype;
    const ops::Attribute* dtype = node.attributes.find("dtype");
    std::string present = dtype ? std::get<std::string>(*dtype) : "";
    if (ops::dtype_attribute(present, follows) == wanted) return;
    graph_.node(id).attributes.set("dtype", dtype_attribute_for(wanted, follows));
    ++changes_;
  }

  const ir::Node& node_at(ir::NodeId id) const { return graph_.nodes()[id]; }

  ir::Graph& graph_;
  DType precision_;
  NamedTypes types_;
  const PassOptions& options_;
  std::map<std::pair<ir::ValueId, DType>, ir::ValueId> constants_, casts_;
  size_t changes_ = 0;
};

}  // namespace

// Gives a graph of f32 semantics the asked precision: weights, the values between matmuls and the
// KV caches are rounded to it; the residual stream, logits and small constants stay f32, since
// their errors add up and they cost little. With f32, constants the checkpoint holds in 16 bits are
// widened.
size_t precision(ir::Graph& graph, const PassOptions& options) {
  return Rounding(graph, options).run();
}

}  // namespace tenon::passes
