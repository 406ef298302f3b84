#pragma once

#include <string>

#include "ops/op.h"

namespace tenon::ops {

// The paged KV cache of one layer is a state [blocks, 2, kv_heads, block_size, head_dim]: K at
// index 0 and V at 1 of the second axis. Position p of sequence s lies in block block_table[s, p /
// block_size], row p % block_size. A contiguous cache is one block a sequence.
//
// Ragged batches: tokens of sequence s are rows seq_offsets[s] .. seq_offsets[s + 1]; after the
// step the sequence holds kv_lengths[s] positions, so its first new token has position
// kv_lengths[s] - (seq_offsets[s + 1] - seq_offsets[s]).

// Types every attention op accepts for the ragged inputs, starting at input `first`:
// seq_offsets i32 [seqs + 1], kv_lengths i32 [seqs], block_table i32 [seqs, max_blocks], cache
// state.
void check_ragged_inputs(InferContext& context, size_t first, int64_t kv_heads, int64_t head_dim);

// Writes k and v of the new tokens into the cache. k, v [tokens, kv_heads * head_dim]. No output.
struct KvAppend {
  static constexpr std::string_view kName = "kv_append";
  int64_t kv_heads = 0, head_dim = 0;

  template <class V>
  void visit(V&& v) {
    v("kv_heads", kv_heads);
    v("head_dim", head_dim);
  }
  static void infer(InferContext& context);
  static OpDef def() {
    return define_op<KvAppend>({{"k"},
                                {"v"},
                                {"seq_offsets"},
                                {"kv_lengths"},
                                {"block_table"},
                                {"cache", PortKind::State}},
                               {}, "cache[position of token] = k, v");
  }
};

// Attention of the new tokens over the cache: out[t, h] = softmax(scale * q[t, h] . K[0..p_t]) V,
// causal (token at position p sees positions <= p), in f32. Query head h reads kv head
// h / (heads / kv_heads). window > 0: sees only positions > p - window. softcap > 0: scores become
// softcap * tanh(score / softcap).
// q [tokens, heads * head_dim] -> out [tokens, heads * head_dim].
struct PagedAttention {
  static constexpr std::string_view kName = "paged_attention";
  int64_t heads = 0, kv_heads = 0, head_dim = 0, window = 0;
  double scale = 1.0, softcap = 0.0;
  std::string dtype = "";  // of out; "" means q's

  template <class V>
  void visit(V&& v) {
    v("heads", heads);
    v("kv_heads", kv_heads);
    v("head_dim", head_dim);
    v("window", window);
    v("scale", scale);
    v("softcap", softcap);
    v("dtype", dtype);
  }
  static void infer(InferContext& context);
  static OpDef def() {
    return define_op<PagedAttention>(
        {{"q"}, {"seq_offsets"}, {"kv_lengths"}, {"block_table"}, {"cache", PortKind::State}},
        {{"out"}}, "out = softmax(scale q K^T, causal) V over the paged cache");
  }
};

// rope on q and k, and kv_append of k and v, in one pass over a packed projection.
// qkv [tokens, (heads + 2 kv_heads) * head_dim] (q, then k, then v); positions i32 [tokens];
// inv_freq f32 [r], absent for no rotation -> q [tokens, heads * head_dim].
struct RopeKvAppend {
  static constexpr std::string_view kName = "rope_kv_append";
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  bool interleaved = false;
  double scale = 1.0;
  std::string dtype = "";  // of q; "" means qkv's

  template <class V>
  void visit(V&& v) {
    v("heads", heads);
    v("kv_heads", kv_heads);
    v("head_dim", head_dim);
    v("interleaved", interleaved);
    v("scale", scale);
    v("dtype", dtype);
  }
  static void infer(InferContext& context);
  static OpDef def() {
    return define_op<RopeKvAppend>({{"qkv"},
                                    {"positions"},
                                    {"inv_freq", PortKind::Optional},
                                    {"seq_offsets"},
                                    {"kv_lengths"},
                                    {"block_table"},
                                    {"cache", PortKind::State}},
                                   {{"q"}},
                                   "q, k, v = split(qkv); q, k = rope(q, k); cache = k, v");
  }
};

}  // namespace tenon::ops
