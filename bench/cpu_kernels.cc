// How near the CPU's `linear` comes to what the machine can do: for each shape the ceilings (f32
// FMA, bf16 dot, memory read) and the kernel are timed in turns, and medians are compared.
//   bench_cpu_kernels [filter]      filter: a part of a line's name, as "bf16 M=1 "
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "backends/cpu/impl_list.h"
#include "base/checked.h"
#include "base/thread_pool.h"
#include "cpu_ceilings.h"
#include "ops/linear.h"
#include "tensor/float_formats.h"

namespace tenon::bench {
namespace {

// Weights are rotated, so that no cache below 128 MB holds them between two runs.
constexpr int64_t kRotatedBytes = 192 << 20;
constexpr int kRepeats = 7;
constexpr int64_t kLargePageBytes = 2 << 20;

struct Shape {
  int64_t out, in;
};

// As the runtime should hold weights: small pages cost a third of the read rate of one core.
void ask_for_large_pages(const Tensor& tensor) {
  auto begin = round_up(reinterpret_cast<int64_t>(tensor.as<std::byte>()), kLargePageBytes);
  madvise(reinterpret_cast<void*>(begin), tensor.view().bytes() - kLargePageBytes, MADV_HUGEPAGE);
}

Tensor make_random(DType dtype, const Extents& extents, uint32_t seed) {
  Tensor values = Tensor::make(DType::F32, extents);
  if (values.view().bytes() > kLargePageBytes) ask_for_large_pages(values);
  std::minstd_rand random(seed);
  for (int64_t i = 0; i < values.count(); ++i) {
    values.as<float>()[i] = static_cast<float>(random()) / 2147483648.0f - 0.5f;
  }
  if (dtype == DType::F32) return values;
  Tensor result = Tensor::make(dtype, extents);
  if (result.view().bytes() > kLargePageBytes) ask_for_large_pages(result);
  copy_convert(values, result);
  return result;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// One kernel bound to rotating weights.
class LinearBench {
 public:
  LinearBench(DType dtype, Shape shape, int64_t m, const Tensor& weights)
      : dtype_(dtype),
        shape_(shape),
        m_(m),
        weights_(weights),
        x_(make_random(dtype, {m, shape.in}, 7)),
        y_(Tensor::make(dtype, {m, shape.out})) {
    attributes_ = ops::to_attributes(ops::Linear{});
    desc_.op = "linear";
    desc_.attributes = &attributes_;
    desc_.inputs = {{true, dtype, {m, shape.in}, nullptr},
                    {true, dtype, {shape.out, shape.in}, nullptr},
                    {},
                    {}};
    desc_.outputs = {{true, dtype, {m, shape.out}, nullptr}};
  }

  bool supported(const ops::Implementation& kernel) const { return kernel.supports(desc_).ok; }

  // Seconds of one call, on the next weights.
  double run(const ops::Implementation& kernel) {
    auto prepared = kernel.prepare(desc_);
    workspace_.resize(kernel.workspace_bytes(desc_));
    TensorView inputs[] = {x_, next_weight(), {}, {}};
    TensorView outputs[] = {y_};
    double begin = seconds_now();
    kernel.run({.inputs = inputs,
                .outputs = outputs,
                .prepared = prepared.get(),
                .workspace = workspace_,
                .stream = nullptr});
    return seconds_now() - begin;
  }

  double flops() const { return 2.0 * m_ * shape_.out * shape_.in; }
  double bytes() const { return static_cast<double>(dtype_bytes(dtype_, shape_.out * shape_.in)); }

 private:
  TensorView next_weight() {
    int64_t size = shape_.out * shape_.in, count = weights_.count() / size;
    next_ = (next_ + 1) % count;
    auto* begin = weights_.as<std::byte>() + dtype_bytes(dtype_, next_ * size);
    return TensorView(begin, dtype_, {shape_.out, shape_.in});
  }

  DType dtype_;
  Shape shape_;
  int64_t m_, next_ = 0;
  const Tensor& weights_;
  Tensor x_, y_;
  ops::Attributes attributes_;
  ops::OpDesc desc_;
  std::vector<std::byte> workspace_;
};

struct Samples {
  std::vector<double> fma, bf16, dram, kernel;
};

void report(const std::string& name, const ops::Implementation& kernel, const LinearBench& bench,
            const Samples& samples) {
  bool pairs = kernel.name.find("bf16") != kernel.name.npos;
  double peak = pairs ? median(samples.bf16) : median(samples.fma), dram = median(samples.dram);
  double seconds = median(samples.kernel);
  double at_peak = bench.flops() / peak, at_dram = bench.bytes() / dram;
  std::printf("%-28s %-26.*s %9.3f ms %7.1f GB/s %7.1f GFLOP/s  %3.0f %% of %s (%.1f)\n",
              name.c_str(), static_cast<int>(kernel.name.size()), kernel.name.data(), seconds * 1e3,
              bench.bytes() / seconds * 1e-9, bench.flops() / seconds * 1e-9,
              100 * std::max(at_peak, at_dram) / seconds,
              at_peak > at_dram ? (pairs ? "bf16 peak" : "FMA peak") : "DRAM read",
              (at_peak > at_dram ? peak : dram) * 1e-9);
  std::fflush(stdout);
}

void run_shape(DType dtype, Shape shape, int64_t m, const Tensor& weights,
               const std::string& filter) {
  std::string name = std::string(dtype_name(dtype)) + " M=" + std::to_string(m) + " " +
                     std::to_string(shape.out) + "x" + std::to_string(shape.in);
  if (name.find(filter) == name.npos) return;
  LinearBench bench(dtype, shape, m, weights);
  for (const ops::Implementation* kernel : cpu::implementations()) {
    if (kernel->op != "linear" || !bench.supported(*kernel)) continue;
    Samples samples;
    bench.run(*kernel);
    int repeats = m == 1 ? 3 * kRepeats : kRepeats;
    for (int i = 0; i < repeats; ++i) {
      samples.fma.push_back(fma_flops_per_second());
      samples.bf16.push_back(bf16_flops_per_second());
      samples.dram.push_back(dram_bytes_per_second(weights.as<std::byte>(), kRotatedBytes));
      samples.kernel.push_back(bench.run(*kernel));
    }
    report(name, *kernel, bench, samples);
  }
}

}  // namespace
}  // namespace tenon::bench

int main(int argc, char** argv) {
  using namespace tenon;
  std::string filter = argc > 1 ? argv[1] : "";
  std::printf("%d threads\n", process_thread_pool().size());
  for (DType dtype : {DType::F32, DType::BF16, DType::F16}) {
    int64_t elements = bench::kRotatedBytes * 8 / dtype_bits(dtype);
    Tensor weights = bench::make_random(dtype, {elements}, 1);
    for (bench::Shape shape : {bench::Shape{4096, 4096}, {11008, 4096}, {2048, 5632}}) {
      for (int64_t m : {1, 2, 4, 8, 16, 32, 64, 128, 512})
        bench::run_shape(dtype, shape, m, weights, filter);
    }
  }
}
