#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "kernels/work.h"
#include "ops/kv_cache.h"

// The ops over the paged cache. Caches take turns, as those of the layers do.
namespace tenon::bench {
namespace {

// Seen positions of all new tokens of one sequence: causal.
double seen_positions(const Ragged& r) {
  auto tokens = static_cast<double>(r.tokens);
  return tokens * static_cast<double>(r.before) + tokens * (tokens + 1) / 2;
}

}  // namespace

Ragged Ragged::of(const Case& what) {
  Ragged r;
  r.seqs = what.size("seqs"), r.before = what.size("before", 0), r.tokens = what.size("tokens");
  r.heads = what.size("heads"), r.kv_heads = what.size("kv_heads");
  r.head_dim = what.size("head_dim"), r.block_size = what.size_or("block_size", 16);
  return r;
}

std::vector<TensorView> keep_ragged(Work& work, const Machine& machine, const Ragged& r) {
  std::vector<int32_t> offsets, lengths(r.seqs, static_cast<int32_t>(r.length()));
  for (int64_t i = 0; i <= r.seqs; ++i) offsets.push_back(static_cast<int32_t>(i * r.tokens));
  std::vector<int32_t> table(r.seqs * r.max_blocks());
  std::iota(table.begin(), table.end(), 0);
  std::shuffle(table.begin(), table.end(), std::minstd_rand(3));
  return {work.keep(DeviceTensor::ints(machine, {r.seqs + 1}, offsets)),
          work.keep(DeviceTensor::ints(machine, {r.seqs}, lengths)),
          work.keep(DeviceTensor::ints(machine, {r.seqs, r.max_blocks()}, table))};
}

Work make_attention(Machine& machine, const Case& what) {
  Ragged r = Ragged::of(what);
  DType dtype = float_type(what, "dtype", "");
  Work work;
  double scale = 1 / std::sqrt(static_cast<double>(r.head_dim));
  work.attributes =
      ops::to_attributes(ops::PagedAttention{r.heads, r.kv_heads, r.head_dim, 0, scale, 0});
  Extents extents{r.seqs * r.tokens, r.heads * r.head_dim};
  TensorView q = work.keep(DeviceTensor::random(machine, dtype, extents, 1));
  TensorView out = keep_output(work, machine, dtype, extents);
  std::vector<TensorView> ragged = keep_ragged(work, machine, r);
  int64_t cache_bytes = dtype_bytes(dtype, r.cache().count());
  for (int64_t i = 0; i < turns_of(machine, cache_bytes); ++i) {
    TensorView cache =
        work.keep(DeviceTensor::random(machine, dtype, r.cache(), static_cast<uint32_t>(10 + i)));
    work.turns.push_back({{q, ragged[0], ragged[1], ragged[2], cache}, {out}});
  }
  int64_t held = dtype_bytes(dtype, 2 * r.seqs * r.length() * r.kv_heads * r.head_dim);
  work.bytes = static_cast<double>(held + q.bytes() + out.bytes());
  // q . k and weight * v.
  work.operations = 4 * seen_positions(r) * static_cast<double>(r.seqs * r.heads * r.head_dim);
  work.arithmetic = dtype;
  return work;
}

Work make_rope_kv_append(Machine& machine, const Case& what) {
  Ragged r = Ragged::of(what);
  DType dtype = float_type(what, "dtype", "");
  Work work;
  work.attributes =
      ops::to_attributes(ops::RopeKvAppend{r.heads, r.kv_heads, r.head_dim, false, 1.0});
  int64_t tokens = r.seqs * r.tokens;
  std::vector<int32_t> positions;
  for (int64_t i = 0; i < tokens; ++i) {
    positions.push_back(static_cast<int32_t>(r.before + i % r.tokens));
  }
  TensorView at = work.keep(DeviceTensor::ints(machine, {tokens}, positions));
  TensorView inv_freq =
      work.keep(DeviceTensor::random(machine, DType::F32, {r.head_dim / 2}, 4, 0.01f));
  std::vector<TensorView> ragged = keep_ragged(work, machine, r);
  Extents packed{tokens, (r.heads + 2 * r.kv_heads) * r.head_dim};
  int64_t bytes = 2 * dtype_bytes(dtype, packed.count());
  for (int64_t i = 0; i < turns_of(machine, bytes + dtype_bytes(dtype, r.cache().count())); ++i) {
    TensorView qkv =
        work.keep(DeviceTensor::random(machine, dtype, packed, static_cast<uint32_t>(10 + i)));
    TensorView cache = work.keep(DeviceTensor::random(machine, dtype, r.cache(), 5));
    TensorView q = keep_output(work, machine, dtype, {tokens, r.heads * r.head_dim});
    work.turns.push_back({{qkv, at, inv_freq, ragged[0], ragged[1], ragged[2], cache}, {q}});
  }
  work.bytes = static_cast<double>(bytes);
  return work;
}

}  // namespace tenon::bench
