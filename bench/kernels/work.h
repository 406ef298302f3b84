#pragma once

#include <string_view>
#include <vector>

#include "kernels/operation.h"
#include "kernels/shapes.h"

namespace tenon::bench {

// A case with its operands in the machine's memory.
struct Work {
  ops::Attributes attributes;
  std::vector<DeviceTensor> memory;
  std::vector<Operands> turns;  // the same call over other memory, so that no cache helps
  double bytes = 0;             // that one call must read and write
  double operations = 0;        // that one call must do
  DType arithmetic = DType::F32;

  // Keeps the tensor and returns its view.
  TensorView keep(DeviceTensor tensor);
};

// Throws ErrorCode::BadInput for an op that has no benchmark and for fields that are wrong.
Work make_work(Machine& machine, const Case& what);

// One maker an op.
Work make_linear(Machine& machine, const Case& what);
Work make_quantised_linear(Machine& machine, const Case& what);
Work make_attention(Machine& machine, const Case& what);
Work make_rope_kv_append(Machine& machine, const Case& what);
Work make_rms_norm(Machine& machine, const Case& what);
Work make_layer_norm(Machine& machine, const Case& what);
Work make_glu(Machine& machine, const Case& what);
Work make_sample(Machine& machine, const Case& what);

// The float type a field names; `otherwise` where it is absent.
DType float_type(const Case& what, std::string_view key, std::string_view otherwise);
// How many turns of this many bytes are in no cache; at most 64.
int64_t turns_of(const Machine& machine, int64_t bytes);
// An output that holds NaN until it is written.
TensorView keep_output(Work& work, Machine& machine, DType dtype, const Extents& extents);

// `tokens` new positions in each of `seqs` sequences, behind `before` cached ones, over a paged
// cache whose blocks are scattered.
struct Ragged {
  int64_t seqs = 1, before = 0, tokens = 1, heads = 1, kv_heads = 1, head_dim = 1, block_size = 16;
  static Ragged of(const Case& what);
  int64_t length() const { return before + tokens; }
  int64_t max_blocks() const { return (length() + block_size - 1) / block_size; }
  Extents cache() const { return {seqs * max_blocks(), 2, kv_heads, block_size, head_dim}; }
};
// seq_offsets, kv_lengths and block_table.
std::vector<TensorView> keep_ragged(Work& work, const Machine& machine, const Ragged& ragged);

}  // namespace tenon::bench
