#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"
#include "nn/weights.h"

namespace tenon::nn {

using ir::ValueId;

// A place in the module tree: layers made under it carry its path, as the checkpoint writes it.
class Scope {
 public:
  Scope(ir::Graph& graph, Weights& weights, std::string path = "")
      : graph_(&graph), weights_(&weights), path_(std::move(path)) {}
  Scope operator/(std::string_view child) const {
    return Scope(*graph_, *weights_,
                 path_.empty() ? std::string(child) : path_ + "." + std::string(child));
  }
  Scope operator/(int64_t index) const { return *this / std::string_view(std::to_string(index)); }

  ir::Graph& graph() const { return *graph_; }
  Weights& weights() const { return *weights_; }
  const std::string& path() const { return path_; }

  // The weight `path.name`, as a constant of the graph.
  ValueId weight(std::string_view name, const Extents& extents) const;

 private:
  ir::Graph* graph_;
  Weights* weights_;
  std::string path_;
};

struct LinearOptions {
  int64_t in = 0, out = 0;
  bool bias = false;
  bool stored_in_out = false;  // Conv1D of GPT-2: the weight lies [in, out]
};
// x [..., in] -> [..., out]
ValueId linear(const Scope& scope, ValueId x, const LinearOptions& options);

// table [vocabulary, hidden], f32 result [tokens, hidden]; `embeds` may be ir::kNone.
ValueId embedding(const Scope& scope, ValueId ids, int64_t vocabulary, int64_t hidden,
                  ValueId embeds = ir::kNone);
ValueId rms_norm(const Scope& scope, ValueId x, int64_t size, double eps);
ValueId layer_norm(const Scope& scope, ValueId x, int64_t size, double eps);
ValueId unary(const Scope& scope, std::string_view kind, ValueId x);
ValueId add(const Scope& scope, ValueId a, ValueId b);
ValueId mul(const Scope& scope, ValueId a, ValueId b);
ValueId slice_columns(const Scope& scope, ValueId x, int64_t begin, int64_t end);

// The inputs of a ragged, paged language graph (house decision 1).
struct RaggedInputs {
  ValueId ids = ir::kNone;          // i32 [tokens]; -1 - r takes row r of embeds
  ValueId embeds = ir::kNone;       // f32 [embed_rows, hidden]
  ValueId positions = ir::kNone;    // i32 [tokens]
  ValueId seq_offsets = ir::kNone;  // i32 [seqs + 1]
  ValueId kv_lengths = ir::kNone;   // i32 [seqs]
  ValueId block_table = ir::kNone;  // i32 [seqs, max_blocks]
  ValueId logit_rows = ir::kNone;   // i32 [rows]
};
RaggedInputs add_ragged_inputs(ir::Graph& graph, int64_t hidden);

struct AttentionOptions {
  int64_t layer = 0, heads = 0, kv_heads = 0, head_dim = 0, window = 0;
  double scale = 1.0, softcap = 0.0;
};
struct RotaryOptions {
  ValueId inv_freq = ir::kNone;  // f32 [pairs]; kNone: no rotation
  bool interleaved = false;
  double scale = 1.0;
};
// q [tokens, heads * head_dim], k and v [tokens, kv_heads * head_dim] -> [tokens, heads *
// head_dim]. Adds the cache state "cache.<layer>" [cache_blocks, 2, kv_heads, block_size,
// head_dim].
ValueId cached_attention(const Scope& scope, ValueId q, ValueId k, ValueId v,
                         const RaggedInputs& inputs, const AttentionOptions& attention,
                         const RotaryOptions& rotary);

}  // namespace tenon::nn
