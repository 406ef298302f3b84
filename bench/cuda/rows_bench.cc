#include <algorithm>
#include <cstdio>
#include <numeric>
#include <vector>

#include "bench.h"
#include "operation.h"
#include "ops/glu.h"
#include "ops/kv_cache.h"
#include "ops/rms_norm.h"
#include "ops/sample.h"

// Tensors of these sizes stay in L2 between the calls, as in a model: what one op wrote the next
// one reads.
namespace tenon::bench {
namespace {

constexpr int kCalls = 32;

void measure(Gpu& gpu, const Ceilings& ceilings, const char* what, int64_t rows, double bytes,
             Operation& operation) {
  if (!operation.supported()) {
    std::printf("%-44s %5ld rows  %s\n", what, static_cast<long>(rows), operation.name().c_str());
    return;
  }
  double seconds = median_seconds(gpu, kCalls, [&] {
    for (int i = 0; i < kCalls; ++i) operation.run();
  });
  std::printf("%-44s %5ld rows %8.2f us %6.2f TB/s  %3.0f %% of reading memory  %s\n", what,
              static_cast<long>(rows), seconds * 1e6, bytes / seconds / 1e12,
              100 * bytes / seconds / ceilings.read, operation.name().c_str());
}

DeviceTensor constant(Gpu& gpu, DType dtype, int64_t count, double value) {
  Tensor host = Tensor::make(dtype, {count});
  for (int64_t i = 0; i < count; ++i) {
    if (dtype == DType::I32) {
      host.as<int32_t>()[i] = static_cast<int32_t>(value);
    } else {
      host.as<float>()[i] = static_cast<float>(value);
    }
  }
  return DeviceTensor::copy_of(gpu, host.view());
}

DeviceTensor ints(Gpu& gpu, const Extents& extents, std::vector<int32_t> values) {
  return DeviceTensor::copy_of(gpu, TensorView(values.data(), DType::I32, extents));
}

void bench_norm(Gpu& gpu, const Ceilings& ceilings, int64_t rows, int64_t columns) {
  DeviceTensor x = DeviceTensor::random(gpu, DType::F32, {rows, columns}, 1);
  DeviceTensor residual = DeviceTensor::random(gpu, DType::F32, {rows, columns}, 2);
  DeviceTensor weight = DeviceTensor::random(gpu, DType::F32, {columns}, 3);
  DeviceTensor y(gpu, DType::BF16, {rows, columns}), sum(gpu, DType::F32, {rows, columns});
  Operation plain(gpu, "rms_norm", ops::to_attributes(ops::RmsNorm{1e-6, "bf16"}),
                  {x.view(), weight.view(), {}}, y.view());
  Operation fused(gpu, "rms_norm", ops::to_attributes(ops::RmsNorm{1e-6, "bf16"}),
                  {x.view(), weight.view(), residual.view()}, std::vector{y.view(), sum.view()});
  auto count = static_cast<double>(rows * columns);
  measure(gpu, ceilings, ("rms_norm " + std::to_string(columns)).c_str(), rows, 6 * count, plain);
  measure(gpu, ceilings, ("rms_norm + residual, sum " + std::to_string(columns)).c_str(), rows,
          14 * count, fused);
}

void bench_glu(Gpu& gpu, const Ceilings& ceilings, int64_t rows, int64_t columns) {
  DeviceTensor x = DeviceTensor::random(gpu, DType::BF16, {rows, 2 * columns}, 1);
  DeviceTensor y(gpu, DType::BF16, {rows, columns});
  Operation glu(gpu, "glu", ops::to_attributes(ops::Glu{}), {x.view()}, y.view());
  measure(gpu, ceilings, ("glu silu " + std::to_string(columns)).c_str(), rows,
          6.0 * static_cast<double>(rows * columns), glu);
}

// `seqs` sequences of `fresh` new tokens each, that begin at position 512.
void bench_rope(Gpu& gpu, const Ceilings& ceilings, int64_t seqs, int64_t fresh) {
  constexpr int64_t kHeads = 32, kDim = 128, kBlock = 16, kCached = 512;
  int64_t tokens = seqs * fresh, blocks = (kCached + fresh + kBlock - 1) / kBlock;
  std::vector<int32_t> positions, offsets = {0}, lengths, table(seqs * blocks);
  for (int64_t s = 0; s < seqs; ++s) {
    for (int64_t i = 0; i < fresh; ++i) positions.push_back(static_cast<int32_t>(kCached + i));
    offsets.push_back(static_cast<int32_t>((s + 1) * fresh));
    lengths.push_back(static_cast<int32_t>(kCached + fresh));
  }
  std::iota(table.begin(), table.end(), 0);
  DeviceTensor qkv = DeviceTensor::random(gpu, DType::BF16, {tokens, 3 * kHeads * kDim}, 1);
  DeviceTensor inv_freq = constant(gpu, DType::F32, kDim / 2, 0.01);
  DeviceTensor q(gpu, DType::BF16, {tokens, kHeads * kDim});
  DeviceTensor cache(gpu, DType::BF16, {seqs * blocks, 2, kHeads, kBlock, kDim});
  DeviceTensor at = ints(gpu, {tokens}, positions), so = ints(gpu, {seqs + 1}, offsets),
               kl = ints(gpu, {seqs}, lengths), bt = ints(gpu, {seqs, blocks}, table);
  Operation rope(
      gpu, "rope_kv_append",
      ops::to_attributes(ops::RopeKvAppend{kHeads, kHeads, kDim, false, 1.0}),
      {qkv.view(), at.view(), inv_freq.view(), so.view(), kl.view(), bt.view(), cache.view()},
      q.view());
  measure(gpu, ceilings, "rope_kv_append 32 heads x 128", tokens,
          2.0 * static_cast<double>(qkv.view().bytes()), rope);
}

struct Drawing {
  const char* name;
  double temperature = 1, top_p = 1;
  int top_k = 0;
};

void bench_sample(Gpu& gpu, const Ceilings& ceilings, int64_t rows, int64_t vocab,
                  const Drawing& drawing) {
  DeviceTensor logits = DeviceTensor::random(gpu, DType::F32, {rows, vocab}, 1, 8.0f);
  DeviceTensor temperature = constant(gpu, DType::F32, rows, drawing.temperature),
               top_p = constant(gpu, DType::F32, rows, drawing.top_p),
               top_k = constant(gpu, DType::I32, rows, drawing.top_k),
               penalty = constant(gpu, DType::F32, rows, 1.1),
               uniform = constant(gpu, DType::F32, rows, 0.6),
               history = constant(gpu, DType::I32, 64, 17),
               offsets = constant(gpu, DType::I32, rows + 1, 0);
  DeviceTensor ids(gpu, DType::I32, {rows}), logprobs(gpu, DType::F32, {rows});
  Operation sample(gpu, "sample", {},
                   {logits.view(),
                    temperature.view(),
                    top_k.view(),
                    top_p.view(),
                    penalty.view(),
                    uniform.view(),
                    history.view(),
                    offsets.view(),
                    {}},
                   std::vector{ids.view(), logprobs.view()});
  measure(gpu, ceilings, ("sample " + std::to_string(vocab) + " " + drawing.name).c_str(), rows,
          static_cast<double>(logits.view().bytes()), sample);
}

}  // namespace

void bench_rows(Gpu& gpu, const Ceilings& ceilings) {
  for (int64_t rows : {1, 16, 2048}) {
    bench_norm(gpu, ceilings, rows, 1024);
    bench_norm(gpu, ceilings, rows, 4096);
    bench_glu(gpu, ceilings, rows, 11008);
  }
  bench_rope(gpu, ceilings, 1, 1);
  bench_rope(gpu, ceilings, 64, 1);
  bench_rope(gpu, ceilings, 1, 2048);
  for (int64_t vocab : {32000, 128256}) {
    for (int64_t rows : {1, 64}) {
      bench_sample(gpu, ceilings, rows, vocab, {"greedy", 0});
      bench_sample(gpu, ceilings, rows, vocab, {"top_k 40, top_p 0.9", 0.8, 0.9, 40});
      bench_sample(gpu, ceilings, rows, vocab, {"top_p 0.9", 0.8, 0.9});
      bench_sample(gpu, ceilings, rows, vocab, {"any token"});
    }
  }
}

}  // namespace tenon::bench
