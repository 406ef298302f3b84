#include "kernels/machine.h"

#include <sys/utsname.h>

#include <algorithm>
#include <ctime>

#include "base/error.h"
#include "base/thread_pool.h"

namespace tenon::bench {
namespace {

std::string utc_now() {
  char text[32];
  std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

}  // namespace

double Ceilings::rate(DType dtype) const {
  if (dtype == DType::F16 && f16 > 0) return f16;
  if (dtype == DType::BF16 && bf16 > 0) return bf16;
  if (dtype == DType::I8 && i8 > 0) return i8;
  return f32;
}

data::Json Ceilings::to_json() const {
  data::Json json = data::Json::object();
  json.set("read_bytes_per_second", read).set("f32_operations_per_second", f32);
  json.set("f16_operations_per_second", f16).set("bf16_operations_per_second", bf16);
  json.set("i8_operations_per_second", i8);
  return json;
}

Measured summarise(std::vector<double> samples) {
  TENON_CHECK(!samples.empty());
  std::sort(samples.begin(), samples.end());
  auto at = [&](double quantile) {
    return samples[static_cast<size_t>(quantile * static_cast<double>(samples.size() - 1) + 0.5)];
  };
  return {.seconds = at(0.5), .spread = (at(0.9) - at(0.1)) / at(0.5), .ceilings = {}, .turns = {}};
}

std::unique_ptr<Machine> Machine::open(const device::DeviceId& id) {
  return id.kind == device::Kind::Cuda ? open_cuda_machine(id.index) : open_cpu_machine();
}

data::Json Machine::fingerprint() const {
  utsname system{};
  uname(&system);
  data::Json json = data::Json::object();
  json.set("device", device_.description()).set("cpu", device::cpu_device().description());
  json.set("system", std::string(system.sysname) + " " + system.release).set("date", utc_now());
  return json;
}

void Machine::upload(const TensorView& to, const void* from) const {
  device_.upload(to.data, from, to.bytes(), *stream_);
  stream_->synchronize();
}

Tensor Machine::download(const TensorView& from) const {
  Tensor host = Tensor::make(from.dtype, from.extents);
  device_.download(host.view().data, from.data, from.bytes(), *stream_);
  stream_->synchronize();
  return host;
}

DeviceTensor::DeviceTensor(const Machine& machine, DType dtype, const Extents& extents)
    : memory_(machine.device().allocator(),
              std::max<int64_t>(dtype_bytes(dtype, extents.count()), 256)),
      view_(memory_.data(), dtype, extents) {}

DeviceTensor DeviceTensor::random(Machine& machine, DType dtype, const Extents& extents,
                                  uint32_t seed, float spread) {
  DeviceTensor tensor(machine, dtype, extents);
  machine.fill_random(tensor.view_, seed, spread);
  return tensor;
}

DeviceTensor DeviceTensor::copy_of(const Machine& machine, const TensorView& host) {
  DeviceTensor tensor(machine, host.dtype, host.extents);
  machine.upload(tensor.view_, host.data);
  return tensor;
}

DeviceTensor DeviceTensor::ints(const Machine& machine, const Extents& extents,
                                const std::vector<int32_t>& values) {
  return copy_of(machine, TensorView(values.data(), DType::I32, extents));
}

}  // namespace tenon::bench
