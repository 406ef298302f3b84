#include "runtime/machine_report.h"

#include <numeric>

#include "backends/cpu/cpu_features.h"
#include "base/text.h"
#include "device/device.h"
#include "device/library_search.h"
#include "ops/cast.h"
#include "runtime/backend_loader.h"

namespace tenon::runtime {
namespace {

std::vector<CpuFeature> cpu_features() {
  std::vector<CpuFeature> features;
  for (const cpu::NamedIsa& named : cpu::named_isas()) {
    features.push_back({named.name, cpu::cpu_supports(named.isa).reason});
  }
  return features;
}

device::LibraryReport find_driver() {
  device::LibraryReport report{.file = "libcuda.so.1", .enables = "NVIDIA GPUs: their driver"};
  device::OpenedLibrary opened =
      device::open_library({report.file, ""}, [](void*) { return std::string(); });
  report.path = opened.path;
  report.problem = opened.handle ? "" : "is not found: no NVIDIA driver";
  return report;
}

device::LibraryReport describe_backend(const GpuBackend& gpu) {
  device::LibraryReport report{.file = "libtenon_cuda.so", .enables = "--device cuda"};
  (gpu.library ? report.path : report.problem) = gpu.library ? gpu.path : gpu.why;
  return report;
}

// Casts a thousand numbers with the device's own kernel: driver, code and memory all take part.
void try_device(const DeviceBackends& opened) {
  constexpr int64_t kCount = 1000;
  ops::Attributes attributes = ops::to_attributes(ops::Cast{.dtype = "f32"});
  ops::TensorDesc tensor{true, DType::F32, {kCount}, nullptr};
  ops::OpDesc desc{ops::Cast::kName, 1, &attributes, {tensor}, {tensor}};
  ops::Choice choice = ops::choose_implementation(opened.backends[0].implementations, desc);
  if (!choice.implementation) {
    throw Error(ErrorCode::Internal, "no kernel for cast").got(join(choice.refused, "; "));
  }
  std::vector<float> sent(kCount), came(kCount, 0.0f);
  std::iota(sent.begin(), sent.end(), 1.0f);
  auto bytes = static_cast<int64_t>(kCount * sizeof(float));
  auto stream = opened.device->make_stream();
  device::Arena x(opened.device->allocator(), bytes), y(opened.device->allocator(), bytes);
  opened.device->upload(x.data(), sent.data(), bytes, *stream);
  TensorView input(x.data(), DType::F32, {kCount}), output(y.data(), DType::F32, {kCount});
  std::shared_ptr<const void> prepared;
  if (choice.implementation->prepare) prepared = choice.implementation->prepare(desc);
  choice.implementation->run({.inputs = {&input, 1},
                              .outputs = {&output, 1},
                              .prepared = prepared.get(),
                              .workspace = {},
                              .stream = stream.get()});
  opened.device->download(came.data(), y.data(), bytes, *stream);
  stream->synchronize();
  if (came != sent) {
    throw Error(ErrorCode::DeviceFault, "the device gives wrong numbers")
        .at(opened.device->id().to_string());
  }
}

GpuReport report_gpu(const device::GpuSurvey& survey, const device::Gpu& gpu) {
  GpuReport report{gpu, -1, device::gpu_refusal(survey, gpu.index)};
  if (report.refusal) return report;
  try {
    DeviceBackends opened = open_backends({device::Kind::Cuda, gpu.index});
    report.free_bytes = opened.device->free_bytes();
    try_device(opened);
  } catch (const Error& error) {
    report.refusal = error;
  }
  return report;
}

}  // namespace

MachineReport report_machine() {
  MachineReport report;
  report.cpu = device::cpu_device().description();
  report.cpu_features = cpu_features();
  try_device(open_backends({device::Kind::Cpu, 0}, true));
  report.driver = find_driver();
  const GpuBackend& gpu = gpu_backend();
  report.backend = describe_backend(gpu);
  if (gpu.library) {
    report.survey = gpu.library->survey();
    report.libraries = gpu.library->libraries();
    for (const device::Gpu& card : report.survey->gpus) {
      report.gpus.push_back(report_gpu(*report.survey, card));
    }
    if (report.gpus.empty()) report.no_gpu = device::gpu_refusal(*report.survey, 0);
    return report;
  }
  try {
    open_backends({device::Kind::Cuda, 0});
  } catch (const Error& error) {
    report.no_gpu = error;
  }
  return report;
}

}  // namespace tenon::runtime
