// How near the CPU's `paged_attention` comes to what the machine can do: decode against the memory
// read rate of its K and V, prefill against f32 FMA. The cache is larger than the CPU's own caches.
//   bench_cpu_attention [filter]      filter: a part of a line's name, as "bf16 decode"
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "backends/cpu/impl_list.h"
#include "base/checked.h"
#include "base/thread_pool.h"
#include "cpu_ceilings.h"
#include "ops/kv_cache.h"

namespace tenon::bench {
namespace {

constexpr int64_t kBlockSize = 16;
constexpr int kRepeats = 9;

struct Shape {
  int64_t heads, kv_heads, head_dim, seqs, before, tokens;
};

Tensor make_small_values(DType dtype, const Extents& extents) {
  Tensor values = Tensor::make(DType::F32, extents);
  for (int64_t i = 0; i < values.count(); ++i) {
    values.as<float>()[i] = static_cast<float>((i * 2654435761u >> 8) % 2048) / 2048.0f - 0.5f;
  }
  Tensor result = Tensor::make(dtype, extents);
  copy_convert(values, result);
  return result;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

class AttentionBench {
 public:
  AttentionBench(DType dtype, const Shape& shape) : shape_(shape) {
    int64_t length = shape.before + shape.tokens, blocks = ceil_div(length, kBlockSize);
    int64_t width = shape.heads * shape.head_dim, tokens = shape.seqs * shape.tokens;
    q_ = make_small_values(dtype, {tokens, width});
    out_ = Tensor::make(dtype, {tokens, width});
    cache_ = make_small_values(
        dtype, {blocks * shape.seqs, 2, shape.kv_heads, kBlockSize, shape.head_dim});
    offsets_ = Tensor::make(DType::I32, {shape.seqs + 1});
    lengths_ = Tensor::make(DType::I32, {shape.seqs});
    table_ = Tensor::make(DType::I32, {shape.seqs, blocks});
    for (int64_t s = 0; s <= shape.seqs; ++s) {
      offsets_.as<int32_t>()[s] = static_cast<int32_t>(s * shape.tokens);
    }
    for (int64_t s = 0; s < shape.seqs; ++s) {
      lengths_.as<int32_t>()[s] = static_cast<int32_t>(length);
    }
    for (int64_t i = 0; i < table_.count(); ++i) table_.as<int32_t>()[i] = static_cast<int32_t>(i);
    attributes_ = ops::to_attributes(
        ops::PagedAttention{shape.heads, shape.kv_heads, shape.head_dim, 0, 0.125, 0});
    for (const Tensor* input : {&q_, &offsets_, &lengths_, &table_, &cache_}) {
      inputs_.push_back(*input);
      desc_.inputs.push_back({true, input->dtype(), input->extents(), nullptr});
    }
    desc_.op = "paged_attention";
    desc_.attributes = &attributes_;
    desc_.outputs = {{true, dtype, out_.extents(), nullptr}};
  }

  bool supported(const ops::Implementation& kernel) const { return kernel.supports(desc_).ok; }

  double run(const ops::Implementation& kernel) {
    auto prepared = kernel.prepare(desc_);
    workspace_.resize(kernel.workspace_bytes(desc_));
    TensorView outputs[] = {out_};
    double begin = seconds_now();
    kernel.run({.inputs = inputs_,
                .outputs = outputs,
                .prepared = prepared.get(),
                .workspace = workspace_,
                .stream = nullptr});
    return seconds_now() - begin;
  }

  // Of what the causal mask leaves: q . k and weight * v.
  double flops() const {
    double seen = shape_.before * shape_.tokens + shape_.tokens * (shape_.tokens + 1) / 2.0;
    return 4 * seen * shape_.heads * shape_.head_dim * shape_.seqs;
  }
  const Tensor& cache() const { return cache_; }

 private:
  Shape shape_;
  Tensor q_, out_, cache_, offsets_, lengths_, table_;
  ops::Attributes attributes_;
  ops::OpDesc desc_;
  std::vector<TensorView> inputs_;
  std::vector<std::byte> workspace_;
};

void run_shape(DType dtype, const Shape& shape, const std::string& filter) {
  std::string name = std::string(dtype_name(dtype)) +
                     (shape.tokens == 1 ? " decode " : " prefill ") + std::to_string(shape.seqs) +
                     "x" + std::to_string(shape.tokens) + " after " + std::to_string(shape.before) +
                     ", heads " + std::to_string(shape.heads) + ":" +
                     std::to_string(shape.kv_heads) + "x" + std::to_string(shape.head_dim);
  if (name.find(filter) == name.npos) return;
  AttentionBench bench(dtype, shape);
  auto bytes = static_cast<double>(bench.cache().view().bytes());
  for (const ops::Implementation* kernel : cpu::implementations()) {
    if (kernel->op != "paged_attention" || !bench.supported(*kernel)) continue;
    std::vector<double> seconds, fma, dram;
    bench.run(*kernel);
    for (int i = 0; i < kRepeats; ++i) {
      fma.push_back(fma_flops_per_second());
      dram.push_back(
          dram_bytes_per_second(bench.cache().as<std::byte>(), static_cast<size_t>(bytes)));
      seconds.push_back(bench.run(*kernel));
    }
    double time = median(seconds), at_peak = bench.flops() / median(fma);
    double at_dram = bytes / median(dram);
    std::printf("%-50s %-29.*s %9.3f ms %6.1f GB/s %6.1f GFLOP/s  %3.0f %% of %s\n", name.c_str(),
                static_cast<int>(kernel->name.size()), kernel->name.data(), time * 1e3,
                bytes / time * 1e-9, bench.flops() / time * 1e-9,
                100 * std::max(at_peak, at_dram) / time,
                at_peak > at_dram ? "FMA peak" : "cache read");
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace tenon::bench

int main(int argc, char** argv) {
  using namespace tenon;
  std::string filter = argc > 1 ? argv[1] : "";
  std::printf("%d threads\n", process_thread_pool().size());
  const bench::Shape shapes[] = {{32, 32, 128, 4, 2047, 1}, {32, 8, 128, 16, 2047, 1},
                                 {32, 4, 64, 32, 2047, 1},  {12, 12, 64, 32, 1023, 1},
                                 {32, 4, 64, 1, 0, 512},    {32, 8, 128, 1, 0, 512},
                                 {12, 12, 64, 1, 0, 1024},  {32, 8, 128, 1, 3584, 512}};
  for (DType dtype : {DType::F32, DType::BF16, DType::F16}) {
    for (const bench::Shape& shape : shapes) bench::run_shape(dtype, shape, filter);
  }
}
