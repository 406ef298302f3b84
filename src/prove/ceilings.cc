#include "prove/ceilings.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "backends/cpu/ceilings.h"
#include "ops/linear.h"
#include "runtime/backend_loader.h"

namespace tenon::prove {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// The best of several measurements: others on the machine can only make one slower.
template <class Measure>
double best_of(int rounds, Measure measure) {
  double best = 0;
  for (int i = 0; i < rounds; ++i) best = std::max(best, measure());
  return best;
}

Ceilings measure_cpu(DType precision, bool codes) {
  Ceilings ceilings;
  ceilings.flops = best_of(5, cpu::fma_flops_per_second);
  ceilings.flops_how = "f32 multiply-add in registers, widest vectors, all threads";
  if (precision == DType::BF16) {
    double dots = best_of(5, cpu::bf16_flops_per_second);
    if (dots > ceilings.flops) {
      ceilings.flops = dots;
      ceilings.flops_how = "bf16 dot product in registers, all threads";
    }
  }
  if (codes) ceilings.int8_operations = best_of(5, cpu::int8_operations_per_second);
  device::Arena memory(device::host_allocator(), cpu::kCeilingMemory);
  std::memset(memory.data(), 1, cpu::kCeilingMemory);
  int turn = 0;
  ceilings.bytes_per_second = best_of(cpu::kReadTurns, [&] {
    return cpu::best_read_rate(static_cast<std::byte*>(memory.data()), cpu::kCeilingMemory, turn++);
  });
  ceilings.bytes_how = "reading 640 MiB, all threads";
  return ceilings;
}

template <class Work>
double best_rate(double amount, int rounds, Work work) {
  return best_of(rounds, [&] {
    Clock::time_point begin = Clock::now();
    work();
    return amount / std::max(seconds_since(begin), 1e-9);
  });
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

Ceilings measure_ceilings(const device::DeviceId& device, DType precision, bool codes) {
  return device.kind == device::Kind::Cpu ? measure_cpu(precision, codes)
                                          : measure_device(device, precision);
}

void raise(Ceilings& ceilings, const Ceilings& again) {
  ceilings.bytes_per_second = std::max(ceilings.bytes_per_second, again.bytes_per_second);
  ceilings.int8_operations = std::max(ceilings.int8_operations, again.int8_operations);
  if (again.flops > ceilings.flops) {
    ceilings.flops = again.flops;
    ceilings.flops_how = again.flops_how;
  }
}

std::string arithmetic_text(const Ceilings& ceilings) {
  std::string text = fmt::format("{:.3g} FLOP/s ({})", ceilings.flops, ceilings.flops_how);
  if (ceilings.int8_operations > 0)
    text += fmt::format(", {:.3g} op/s of 8-bit codes", ceilings.int8_operations);
  return text;
}

data::Json to_json(const Ceilings& ceilings) {
  data::Json json = data::Json::object();
  json.set("bytes_per_second", ceilings.bytes_per_second).set("bytes_how", ceilings.bytes_how);
  json.set("flops_per_second", ceilings.flops).set("flops_how", ceilings.flops_how);
  if (ceilings.int8_operations > 0)
    json.set("int8_operations_per_second", ceilings.int8_operations);
  return json;
}

}  // namespace tenon::prove
