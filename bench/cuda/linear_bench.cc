#include <algorithm>
#include <cstdio>
#include <vector>

#include "backends/cuda/kernels/linear.h"
#include "bench.h"
#include "operation.h"
#include "ops/linear.h"

namespace tenon::bench {
namespace {

// Far more than the 60 MB of L2.
constexpr int64_t kRotatedBytes = 512ll << 20;

struct Shape {
  const char* model;
  int64_t out, in;
};
constexpr Shape kShapes[] = {
    {"LLaMA-7B o", 4096, 4096},        {"LLaMA-7B qkv", 12288, 4096},
    {"LLaMA-7B gate-up", 22016, 4096}, {"LLaMA-7B down", 4096, 11008},
    {"LLaMA-7B head", 32000, 4096},    {"GPT-2 m o", 1024, 1024},
    {"GPT-2 m qkv", 3072, 1024},       {"GPT-2 m fc", 4096, 1024},
    {"GPT-2 m proj", 1024, 4096},      {"GPT-2 m head", 50257, 1024},
};

struct Weights {
  std::vector<DeviceTensor> all;
  Weights(Gpu& gpu, DType dtype, const Shape& shape) {
    int64_t bytes = dtype_bytes(dtype, shape.out * shape.in);
    int64_t count = std::max<int64_t>(2, kRotatedBytes / bytes + 1);
    for (int64_t i = 0; i < std::min<int64_t>(count, 256); ++i) {
      all.push_back(DeviceTensor::random(gpu, dtype, {shape.out, shape.in},
                                         static_cast<uint32_t>(100 + i), 0.05f));
    }
  }
};

struct Line {
  int64_t m;
  DType dtype = DType::BF16, y = DType::BF16;
  bool residual = false;  // f32, as behind attention and behind the MLP
  const char* name = "";
};

void bench_one(Gpu& gpu, const Ceilings& ceilings, const Shape& shape, Weights& weights,
               const Line& line) {
  DeviceTensor x = DeviceTensor::random(gpu, line.dtype, {line.m, shape.in}, 7);
  DeviceTensor residual = DeviceTensor::random(gpu, DType::F32, {line.m, shape.out}, 8);
  DeviceTensor y(gpu, line.y, {line.m, shape.out});
  std::vector<TensorView> inputs = {x.view(), weights.all[0].view(), {}, {}};
  if (line.residual) inputs[3] = residual.view();
  Operation operation(gpu, "linear",
                      ops::to_attributes(ops::Linear{"", std::string(dtype_name(line.y))}), inputs,
                      y.view(), line.name);
  if (!operation.supported()) return;
  double seconds = median_seconds(gpu, static_cast<int>(weights.all.size()), [&] {
    for (const DeviceTensor& weight : weights.all) {
      operation.replace_input(1, weight.view());
      operation.run();
    }
  });
  double operations = 2.0 * line.m * shape.out * shape.in;
  double bytes =
      static_cast<double>(weights.all[0].view().bytes() + x.view().bytes() + y.view().bytes() +
                          (line.residual ? residual.view().bytes() : 0));
  double floor = std::max(bytes / ceilings.read, operations / ceilings.gemm);
  std::printf(
      "%-17s %5ldx%-5ld M=%-4ld %-4s->%-4s%s %8.2f us %6.2f TB/s %6.1f TFLOP/s  %3.0f %% of the "
      "floor  %s\n",
      shape.model, static_cast<long>(shape.out), static_cast<long>(shape.in),
      static_cast<long>(line.m), dtype_name(line.dtype).data(), dtype_name(line.y).data(),
      line.residual ? "+r" : "  ", seconds * 1e6, bytes / seconds / 1e12,
      operations / seconds / 1e12, 100 * floor / seconds, operation.name().c_str());
}

}  // namespace

void bench_linear(Gpu& gpu, const Ceilings& ceilings) {
  for (const Shape& shape : kShapes) {
    Weights weights(gpu, DType::BF16, shape);
    for (int64_t m : {1, 4, 16}) {
      bench_one(gpu, ceilings, shape, weights, {.m = m});
    }
    bench_one(gpu, ceilings, shape, weights, {.m = 1, .y = DType::F32, .residual = true});
    bench_one(gpu, ceilings, shape, weights, {.m = 1, .name = "linear_cublaslt"});
    for (int64_t m : {32, 128, 512, 2048}) {
      bench_one(gpu, ceilings, shape, weights, {.m = m});
    }
    bench_one(gpu, ceilings, shape, weights, {.m = 2048, .y = DType::F32, .residual = true});
  }
}

void bench_gemv_shapes(Gpu& gpu, const Ceilings& ceilings) {
  for (const Shape& shape : kShapes) {
    Weights weights(gpu, DType::BF16, shape);
    DeviceTensor x = DeviceTensor::random(gpu, DType::BF16, {1, shape.in}, 7);
    for (auto [warps, slots] : {std::pair{4, 4}, {8, 4}, {16, 3}}) {
      Tensor expected;
      for (bool whole_lines : {false, true}) {
        std::printf("%-17s %5ldx%-5ld %2d warps, %d slots%s:", shape.model,
                    static_cast<long>(shape.out), static_cast<long>(shape.in), warps, slots,
                    whole_lines ? ", lines" : "       ");
        for (int blocks : {1, 2, 3, 4, 6}) {
          if (blocks * warps > 32) continue;
          DeviceTensor y(gpu, DType::BF16, {1, shape.out});
          double seconds = median_seconds(gpu, static_cast<int>(weights.all.size()), [&] {
            for (const DeviceTensor& weight : weights.all) {
              cuda::LinearCall call;
              call.x = {x.view().data, DType::BF16, shape.in};
              call.weight = {weight.view().data, DType::BF16, shape.in};
              call.y = {y.view().data, DType::BF16, shape.out};
              call.m = 1, call.n = static_cast<int>(shape.out);
              call.k = static_cast<int>(shape.in);
              call.stream = gpu.native();
              cuda::run_gemv(call, {warps, slots, blocks, whole_lines});
            }
          });
          // The order of sums depends on the warps alone.
          Tensor got = y.to_host(gpu);
          if (expected.count() == 0) expected = y.to_host(gpu);
          bool same = std::equal(got.view().byte_span().begin(), got.view().byte_span().end(),
                                 expected.view().byte_span().begin());
          double share =
              static_cast<double>(weights.all[0].view().bytes()) / ceilings.read / seconds;
          std::printf("  %d: %.2f us %.0f %%%s", blocks, seconds * 1e6, 100 * share,
                      same ? "" : " DIFFERS");
        }
        std::printf("\n");
      }
    }
  }
}

}  // namespace tenon::bench
