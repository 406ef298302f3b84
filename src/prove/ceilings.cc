#include "prove/ceilings.h"

#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/thread_pool.h"
#include "ops/linear.h"
#include "runtime/backend_loader.h"

namespace tenon::prove {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// The best of several measurements: others on the machine can only make one slower.
template <class Work>
double best_rate(double amount, int rounds, Work work) {
  double best = 0;
  for (int i = 0; i < rounds; ++i) {
    Clock::time_point begin = Clock::now();
    work();
    best = std::max(best, amount / std::max(seconds_since(begin), 1e-9));
  }
  return best;
}

constexpr int kSums = 12;  // enough to hide the latency, few enough for 16 registers
constexpr int64_t kSteps = 400'000;
// The values stay finite, and the compiler knows neither them nor whether anyone looks.
volatile float seed = 1e-8f;
volatile float sink;
volatile uint64_t sink_bits;

__attribute__((target("avx512f"))) void multiply_add_512() {
  __m512 sums[kSums], x = _mm512_set1_ps(seed);
  for (auto& sum : sums) sum = x;
  for (int64_t i = 0; i < kSteps; ++i) {
#pragma GCC unroll 12
    for (auto& sum : sums) sum = _mm512_fmadd_ps(x, x, sum);
  }
  for (auto& sum : sums) x = _mm512_add_ps(x, sum);
  sink = _mm512_cvtss_f32(x);
}

__attribute__((target("avx2,fma"))) void multiply_add_256() {
  __m256 sums[kSums], x = _mm256_set1_ps(seed);
  for (auto& sum : sums) sum = x;
  for (int64_t i = 0; i < kSteps; ++i) {
#pragma GCC unroll 12
    for (auto& sum : sums) sum = _mm256_fmadd_ps(x, x, sum);
  }
  for (auto& sum : sums) x = _mm256_add_ps(x, sum);
  sink = _mm256_cvtss_f32(x);
}

__attribute__((target("avx512f,avx512bf16"))) void dot_bf16() {
  __m512 sums[kSums], x = _mm512_set1_ps(seed);
  auto pairs = (__m512bh)_mm512_castps_si512(x);
  for (auto& sum : sums) sum = x;
  for (int64_t i = 0; i < kSteps; ++i) {
#pragma GCC unroll 12
    for (auto& sum : sums) sum = _mm512_dpbf16_ps(sum, pairs, pairs);
  }
  for (auto& sum : sums) x = _mm512_add_ps(x, sum);
  sink = _mm512_cvtss_f32(x);
}

void read_all(const uint64_t* memory, size_t words) {
  uint64_t sums[8] = {};
  for (size_t i = 0; i + 8 <= words; i += 8) {
    for (size_t j = 0; j < 8; ++j) sums[j] += memory[i + j];
  }
  for (uint64_t sum : sums) sink_bits = sink_bits + sum;
}

Ceilings measure_cpu(DType precision) {
  Ceilings ceilings;
  ThreadPool& pool = process_thread_pool();
  auto on_all = [&](void (*loop)(), double lanes) {
    double flops = 2 * lanes * kSums * static_cast<double>(kSteps) * pool.size();
    return best_rate(flops, 5, [&] { pool.run([&](int) { loop(); }); });
  };
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) {
    ceilings.flops = on_all(multiply_add_512, 16);
    ceilings.flops_how = "f32 multiply-add in registers, 512 bits, all threads";
  } else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    ceilings.flops = on_all(multiply_add_256, 8);
    ceilings.flops_how = "f32 multiply-add in registers, 256 bits, all threads";
  } else {
    throw Error(ErrorCode::Unsupported, "this CPU lacks AVX2 and FMA");
  }
  if (precision == DType::BF16 && __builtin_cpu_supports("avx512bf16")) {
    double dots = on_all(dot_bf16, 32);
    if (dots > ceilings.flops) {
      ceilings.flops = dots;
      ceilings.flops_how = "bf16 dot product in registers, 512 bits, all threads";
    }
  }
  // Read piece by piece, in turn: each has left the caches when its turn comes again, and is short
  // enough that a busy machine leaves some of them alone.
  constexpr size_t kWords = (256u << 20) / sizeof(uint64_t), kPieces = 16;
  std::vector<uint64_t> memory(kWords, 1);
  size_t share = kWords / kPieces / static_cast<size_t>(pool.size()), piece = 0;
  ceilings.bytes_per_second =
      best_rate(static_cast<double>(share * sizeof(uint64_t)) * pool.size(), 3 * kPieces, [&] {
        const uint64_t* begin = memory.data() + piece++ % kPieces * (kWords / kPieces);
        pool.run([&](int thread) { read_all(begin + static_cast<size_t>(thread) * share, share); });
      });
  ceilings.bytes_how = "reading 256 MiB, all threads";
  return ceilings;
}

// Products of zeros take less power than those of numbers, and so may clock higher.
void fill_with_numbers(device::Device& device, device::Stream& stream, void* memory, int64_t count,
                       DType dtype) {
  Tensor numbers = Tensor::make(dtype, {count}), values = Tensor::make(DType::F32, {count});
  uint32_t state = 1;
  for (int64_t i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    values.as<float>()[i] = static_cast<float>(state >> 8) / 8388608.0f - 1;
  }
  copy_convert(values, numbers);
  device.upload(memory, numbers.view().data, numbers.view().bytes(), stream);
  stream.synchronize();
}

double product_rate(runtime::DeviceBackends& opened, device::Stream& stream, DType dtype) {
  constexpr int64_t kSide = 4096, kRepeats = 10;
  ops::Attributes attributes = ops::to_attributes(ops::Linear{});
  ops::TensorDesc square{true, dtype, {kSide, kSide}, nullptr};
  ops::OpDesc desc{ops::Linear::kName, 1, &attributes, {square, square, {}, {}}, {square}};
  for (const runtime::Backend& backend : opened.backends) {
    ops::Choice choice = ops::choose_implementation(backend.implementations, desc);
    if (!choice.implementation) continue;
    runtime::BoundStep bound = runtime::bind_step(*choice.implementation, desc);
    device::Allocator& allocator = opened.device->allocator();
    int64_t bytes = dtype_bytes(dtype, kSide * kSide);
    device::Arena x(allocator, bytes), weight(allocator, bytes), y(allocator, bytes),
        workspace(allocator, std::max<int64_t>(bound.workspace_bytes, 256));
    fill_with_numbers(*opened.device, stream, x.data(), kSide * kSide, dtype);
    fill_with_numbers(*opened.device, stream, weight.data(), kSide * kSide, dtype);
    Extents extents{kSide, kSide};
    TensorView inputs[] = {{x.data(), dtype, extents}, {weight.data(), dtype, extents}, {}, {}};
    TensorView outputs[] = {{y.data(), dtype, extents}};
    ops::RunArgs args{
        inputs,
        outputs,
        bound.prepared.get(),
        {static_cast<std::byte*>(workspace.data()), static_cast<size_t>(workspace.bytes())},
        &stream};
    auto work = [&] {
      for (int64_t i = 0; i < kRepeats; ++i) choice.implementation->run(args);
      stream.synchronize();
    };
    work();
    return best_rate(2.0 * kSide * kSide * kSide * kRepeats, 3, work);
  }
  return 0;
}

Ceilings measure_device(const device::DeviceId& id, DType precision) {
  Ceilings ceilings;
  runtime::DeviceBackends opened = runtime::open_backends(id);
  auto stream = opened.device->make_stream();
  constexpr int64_t kBytes = 1 << 30;
  {
    device::Arena memory(opened.device->allocator(), kBytes);
    ceilings.bytes_per_second = best_rate(4.0 * kBytes, 4, [&] {
      for (int i = 0; i < 4; ++i) opened.device->clear(memory.data(), kBytes, *stream);
      stream->synchronize();
    });
    ceilings.bytes_how = "filling 1 GiB";
  }
  ceilings.flops = product_rate(opened, *stream, precision);
  ceilings.flops_how = std::string(dtype_name(precision)) + " linear of 4096 x 4096 x 4096";
  return ceilings;
}

}  // namespace

Ceilings measure_ceilings(const device::DeviceId& device, DType precision) {
  return device.kind == device::Kind::Cpu ? measure_cpu(precision)
                                          : measure_device(device, precision);
}

data::Json to_json(const Ceilings& ceilings) {
  data::Json json = data::Json::object();
  json.set("bytes_per_second", ceilings.bytes_per_second).set("bytes_how", ceilings.bytes_how);
  json.set("flops_per_second", ceilings.flops).set("flops_how", ceilings.flops_how);
  return json;
}

}  // namespace tenon::prove
