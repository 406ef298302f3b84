#include <algorithm>
#include <cstdio>
#include <random>
#include <vector>

#include "bench.h"
#include "operation.h"
#include "ops/kv_cache.h"

namespace tenon::bench {
namespace {

constexpr int64_t kBlockSize = 16;
constexpr int64_t kRotatedBytes = 512ll << 20;

struct Attention {
  int64_t heads = 32, kv_heads = 32, head_dim = 128;
};

DeviceTensor ints(Gpu& gpu, const Extents& extents, const std::vector<int32_t>& values) {
  return DeviceTensor::copy_of(
      gpu, Tensor::make_from<int32_t>(DType::I32, extents, std::span<const int32_t>(values)));
}

// `fresh` new tokens in each of `seqs` sequences that then hold `length` positions.
double seconds_of(Gpu& gpu, const Attention& a, int64_t seqs, int64_t length, int64_t fresh,
                  std::string& name) {
  int64_t max_blocks = (length + kBlockSize - 1) / kBlockSize, blocks = seqs * max_blocks;
  Extents cache_extents{blocks, 2, a.kv_heads, kBlockSize, a.head_dim};
  int64_t bytes = dtype_bytes(DType::BF16, cache_extents.count());
  int64_t copies =
      fresh == 1 ? std::min<int64_t>(64, std::max<int64_t>(2, kRotatedBytes / bytes)) : 1;
  std::vector<DeviceTensor> caches;
  for (int64_t i = 0; i < copies; ++i) {
    caches.push_back(DeviceTensor::random(gpu, DType::BF16, cache_extents, 20 + i));
  }
  std::vector<int32_t> table(blocks), offsets, lengths(seqs, length);
  for (int64_t i = 0; i < blocks; ++i) table[i] = static_cast<int32_t>(i);
  std::shuffle(table.begin(), table.end(), std::minstd_rand(3));
  for (int64_t i = 0; i <= seqs; ++i) offsets.push_back(static_cast<int32_t>(i * fresh));
  DeviceTensor block_table = ints(gpu, {seqs, max_blocks}, table);
  DeviceTensor seq_offsets = ints(gpu, {seqs + 1}, offsets),
               kv_lengths = ints(gpu, {seqs}, lengths);
  int64_t tokens = seqs * fresh, width = a.heads * a.head_dim;
  DeviceTensor q = DeviceTensor::random(gpu, DType::BF16, {tokens, width}, 5);
  DeviceTensor out(gpu, DType::BF16, {tokens, width});
  ops::PagedAttention op{a.heads, a.kv_heads, a.head_dim, 0, 0.08838834764831845, 0};
  Operation operation(
      gpu, "paged_attention", ops::to_attributes(op),
      {q.view(), seq_offsets.view(), kv_lengths.view(), block_table.view(), caches[0].view()},
      out.view());
  name = operation.name();
  return median_seconds(gpu, static_cast<int>(copies), [&] {
    for (const DeviceTensor& cache : caches) {
      operation.replace_input(4, cache.view());
      operation.run();
    }
  });
}

}  // namespace

void bench_attention(Gpu& gpu, const Ceilings& ceilings) {
  std::string name;
  for (Attention a : {Attention{}, Attention{32, 8, 128}, Attention{16, 16, 64}}) {
    for (auto [seqs, length] : {std::pair<int64_t, int64_t>{1, 128},
                                {1, 512},
                                {1, 2048},
                                {1, 8192},
                                {16, 512},
                                {16, 2048},
                                {64, 1024}}) {
      double seconds = seconds_of(gpu, a, seqs, length, 1, name);
      double bytes = 4.0 * seqs * length * a.kv_heads * a.head_dim;
      std::printf(
          "decode  %2ld/%-2ld heads x %-3ld batch %-3ld context %-5ld %8.2f us %6.2f TB/s %3.0f %% "
          "of the read rate\n",
          static_cast<long>(a.heads), static_cast<long>(a.kv_heads), static_cast<long>(a.head_dim),
          static_cast<long>(seqs), static_cast<long>(length), seconds * 1e6, bytes / seconds / 1e12,
          100 * bytes / seconds / ceilings.read);
    }
    for (auto [seqs, length] :
         {std::pair<int64_t, int64_t>{1, 512}, {1, 2048}, {1, 4096}, {1, 8192}, {8, 512}}) {
      double seconds = seconds_of(gpu, a, seqs, length, length, name);
      double operations = 2.0 * seqs * length * length * a.heads * a.head_dim;
      std::printf(
          "prefill %2ld/%-2ld heads x %-3ld batch %-3ld tokens  %-5ld %8.1f us %6.1f TFLOP/s %3.0f "
          "%% of the product's rate\n",
          static_cast<long>(a.heads), static_cast<long>(a.kv_heads), static_cast<long>(a.head_dim),
          static_cast<long>(seqs), static_cast<long>(length), seconds * 1e6,
          operations / seconds / 1e12, 100 * operations / seconds / ceilings.gemm);
    }
  }
}

}  // namespace tenon::bench
